"""Amazon Connect: calls, chats and emails, told by EventBridge; an answer is a callback task. See README.md here."""
