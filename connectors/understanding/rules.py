# ruff: noqa: E501
"""Turns of phrase that tell what a post wants, each a feature of the model: it learns what each is worth.

They are searched in the tokens, joined by a space: lower case, signs such as `<url>` for what they stand for. Repeats
are bounded, for anybody may write the text.
"""

from __future__ import annotations

import re

RULES = {
    name: re.compile(pattern)
    for name, pattern in {
        "leaving": r"\b(?:never|not|won't|wouldn't)\b.{0,25}\bagain\b|\blast (?:time|straw|flight|order)\b"
        r"|\b(?:switch|mov|chang|leav)(?:e|ed|ing) (?:to|from|banks?|providers?|carriers?|airlines?)\b"
        r"|\b(?:cancel|clos|delet)(?:e|ed|led|ing|ling) (?:my|our|the|this|your) (?:\w+ )?"
        r"(?:account|subscription|membership|contract|service|app|policy|card)\b"
        r"|\b(?:taking|take) (?:my|our) (?:business|money|custom)\b|\blost (?:a|my|our|me)\b.{0,20}(?:customer|business)"
        r"|\b(?:done|through) with\b|\bnot renew|\bno longer (?:a|your|be)\b|\bex[- ]customer\b|\bgoodbye\b"
        r"|\bnext (?:time|phone|car|laptop)\b.{0,25}\b(?:not|with|else|fly)\b|\bgoing (?:back )?to <at>",
        "buying": r"\bhow much (?:is|are|does|do|for|would|to)\b|\bwhere (?:can|do|could) i (?:buy|get|find|order)\b"
        r"|\b(?:want|need|like|love|looking|going|ready|about|hoping|trying|plan\w*) (?:a |an |to )(?:new|buy|order|"
        r"purchase|upgrade|book|get)\b|\bin stock\b|\brestock|\bfor sale\b|\bpre-?order|\bin the market for\b"
        r"|\btake my money\b|\blooking (?:for|at) (?:a|an|some|new|<0>)\b|\bsign up\b|\bdo you (?:sell|ship|have any)\b",
        "ask_help": r"\b(?:can|could|please|pls|someone|anyone|you) (?:\w+ )?(?:help|assist|look into|check)\b"
        r"|\bneed (?:\w+ )?(?:help|assistance)\b|\bplease (?:dm|call|reply|respond|fix|advise)\b|\bhow (?:do|can) i get\b",
        "trouble": r"\b(?:not|isn't|doesn't|won't|can't|don't|stopped|never|unable to|no longer)\s(?:\w+\s)?"
        r"(?:work|working|load|loading|open|log|login|get|connect|sign|find|use|access|reach|turn|charge|arrive|receive"
        r"|received|arrived|update|download|play|pay|check|answer)\w*",
        "wait": r"\b(?:<0>|two|three|four|five|six|several|few|an?) ?(?:\w+ )?(?:hours?|minutes?|days?|weeks?|months?)\b",
        "on_hold": r"\bon hold\b|\bstill (?:no|not|waiting|haven't|hasn't|don't|can't)\b|\bno (?:reply|response|answer)",
        "no_x": r"\bno (?:one|refund|explanation|apology|email|call|update|updates|help|idea|service|signal|water|internet)",
        "wishing": r"\b(?:please|pls) (?:\w+ )?(?:add|bring|make|let|allow|consider|include|give)\b|\bi(?:'d)? wish\b"
        r"|\bwish (?:you|i|there|the|we)\b|\b(?:you|they|<at>|there|app|site|it) (?:guys )?(?:should|could|need to|ought)\b"
        r"|\bwould (?:be (?:\w+ )?(?:nice|great|cool|awesome|good|better|helpful)|love (?:to|a|an|it))\b"
        r"|\bhow about\b|\bwhy (?:not|don't you|can't (?:you|we)|isn't there)\b|\bbring back\b|\bfeature request\b"
        r"|\b(?:suggest(?:ion)?|idea)s?\b|\bif only\b|\bneeds? (?:a|an|to (?:be|have|add))\b|\bcan we (?:get|have)\b",
        "thanking": r"\b(?:thank you|thanks|kudos|shout ?out|props|hats off|well done|great job|good job|nice work)\b",
        "praising": r"\bi (?:\w+ )?(?:love|loved)\b|\bbest (?:\w+ )?(?:ever|airline|service|customer|app|company|thing)\b"
        r"|\byou(?:'re| are| guys)? (?:\w+ )?(?:rock|awesome|amazing|best|great|wonderful)\b|\babove and beyond\b",
        "sarcasm": r"\bthanks for (?:nothing|the (?:delay|wait)|losing|ruining|cancel|making|not|leaving|breaking)"
        r"|\b(?:great|nice|good|way to go|awesome|love) .{0,40}\b(?:delay|cancel|lost|broke|late|not|again|never|fail)",
        "agent": r"\bsorry (?:to hear|about|for)\b|\b(?:dm|pm|message|follow|email|call) us\b|\bwe(?:'re| are|'ll| will)? "
        r"(?:\w+ )?(?:apologi[sz]e|here to help|look into|glad|happy to)|\blet us know\b|\bfor reaching out\b"
        r"|\byou're welcome\b|\bour (?:team|store|website|page|help)\b|\s[\^*/-][a-z]{2,6}$",
        "report": r"^rt\b|\bvia <at>|\bnew (?:blog|post|video|photo)\b|\bannounc|\bshares? (?:rise|fall|up|down)"
        r"|\b(?:win|enter|giveaway|vote)\b.{0,80}<url>|<0>%|\bi(?:'m| am) at\b|\bchecked in\b|\b(?:review|report|news):",
        "told": r"\b(?:dm|dmed|sent|emailed|messaged|followed|replied|done)(?: sent| you| it)?$|^(?:ok|okay|yes|no|yep|nope|"
        r"nvm|never mind|got it|will do|alright|sure)\b",
        "open_ask": r"\b(?:what time|when (?:is|are|do|does|will)|do you (?:have|offer|fly|take|accept|allow|know)"
        r"|is there (?:a|an|any|wifi)|are (?:you|there)|how (?:do|can|long|early|many)|does (?:the|your|it|this)"
        r"|anyone know|wondering|what's the|which (?:is|of))\b",
    }.items()
}  # fmt: skip
