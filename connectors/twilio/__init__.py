"""Twilio: texts, WhatsApp, calls and voice messages, by webhook and by polling. See README.md in this folder."""
