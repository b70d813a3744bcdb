"""Recognizes sentences that belong to a chat and not to an answer: refusals, questions, errors, thinking aloud."""

import re

_CHAT_WORDS = re.compile(  # a sentence of a caption is in the third person
    r"""[(*_]*(?:(?:unfortunately|regrettably|however|but|oh|well|okay|ok|alright|so|now|first|hello|hi
        |(?:please\ )?note)[,.:!]*\s+)*
    (?:it\ (?:seems|appears|looks)\ (?:like\ |that\ )?)?
    (?: (?:i(?!\.)|we|my|our|you|your|let\ (?:me|us)|let's|sorry|apologies|unable|please|thanks|thank\ you)(?![-\w])
    | (?:hm+|wait)[,.!…] | thinking: | (?:could|can|would)\ you\b
    | as\ an?\ (?:ai\b|artificial|(?:large\ |vision[-\ ])?language\ model)
    | (?:the\ )?user\ (?:wants|asks|asked|is\ asking|has|gave|provided)\b
    | (?:the|this)\ (?:assistant|model|ai|system)
        \ (?:can't|cannot|can\ not|does\ not|doesn't|is\ (?:unable|not\ able))\b
    | (?:there\ is\ )?(?:no|the)\ (?:image|picture)\ (?:was|is|has|did)(?:n't|\ not|\ been)?
        \ (?:provided|attached|uploaded|shared|load|available)
    | (?:there\ is\ )?no\ (?:image|picture)(?:[.,!]|$|\ (?:was|is|has|provided|attached)\b)
    | (?:image|picture|caption|description|answer)\ (?:is\ )?
        (?:unavailable|missing|not\ (?:available|found|provided|shown|supported))\b
    | (?:this|that|the)\ (?:image|picture|still|frame)\ (?:cannot|can't|could\ not)\ be
        \ (?:described|identified|viewed|processed|analy[sz]ed|captioned|loaded|displayed)
    | it\ is\ (?:not\ possible|impossible)\ (?:for\ me\ )?to\ (?:describe|identify|view|process|analy|caption)
    | this\ (?:request|prompt|conversation)\b
    | (?:content|response|output)\ (?:was\ |has\ been\ )?(?:filtered|blocked|removed)\b
    | (?:(?:runtime|internal|server|api|http)\ ?)?error(?::|\ \d{3}\b) | traceback\b
    | (?:[45]\d\d\ )?(?:bad\ gateway|internal\ server\ error|service\ unavailable|too\ many\ requests)\b
    | (?:rate\ limit|upstream\ connect|request\ timed|timeout\ (?:while|error)|cuda\ |segmentation\ fault|loading\.)
    | (?:the\ )?model\ is\ (?:loading|overloaded|busy|unavailable)\b
    | (?:not\ able|not\ applicable|can(?:'t|not|\ not)|no\ can\ do|unsupported|n/a)(?![-\w])
    | there(?:\ is|'s)\ (?:nothing\ to\ (?:describe|see|say)|no\ (?:image|picture|photo)\ here)\b
    | (?:the|this)\ (?:image|picture|photo)\ (?:failed|is\ (?:blank|missing|corrupt\w*))\b
    | (?:the|that)\ request\ (?:can|could|was|violates|is\ (?:not|against))
    | (?:this|the)\ content\ (?:may|might|can|violates|is\ not)\b
    | it\ is\ against\b | describing\ (?:real\ )?people\b | (?:as\ (?:requested|asked)|in\ this\ (?:response|answer))\b
    | (?:the\ )?(?:final\ )?(?:answer|caption|description)\ (?:is|should|must|would)\b
    | (?:here|this|below)\ is\ (?:a|an|the|my)\ (?:\w+\ )?(?:caption|description|answer)\b
    | (?:what\ an?\ \w+|great|good|nice|lovely|interesting)\ (?:question|picture|photo|image)\b
    | (?:no|empty)\ (?:output|response|answer|caption|description)
        (?:(?![\ \w])|\ (?:is\ |was\ )?(?:available|provided|given|possible|found)\b)
    | (?:the\ )?(?:caption|description|answer)\ (?:goes|comes)\ here\b | content\ policy\b | bad\ request\b
    | an?\ (?:\w+\ )?(?:description|caption)\ (?:of|for)\ (?:the|this)\ (?:image|picture|photo|still|frame)[.!]?$
    | (?:tool|function)\ call\ ?:
    | (?:question|q|a|action(?:\ input)?|observation|step\ \d+|score|rating|confidence|word\ count|one\ sentence
        |(?:option|caption|answer)\ \#?\w)\ ?:
    | [ab1-9]\)\  )""",
    re.I | re.X,
)
_IN_OTHER_LANGUAGES = (
    *("es tut mir leid", "ich kann leider", "ich kann das", "ich kann diese", "ich sehe kein", "leider kann ich"),
    *("désolé", "je suis désolé", "je ne peux pas", "je ne vois", "lo siento", "no puedo", "no veo", "mi dispiace"),
    *("ich bin nicht in der lage", "ik zie geen", "nu pot", "画像が見え"),
    *("non posso", "non riesco", "non vedo", "desculpe", "não posso", "não consigo", "het spijt me", "ik kan"),
    *("tyvärr", "jag kan tyvärr", "beklager", "jeg kan ikke", "przepraszam", "nie mogę", "üzgünüm", "maaf", "xin lỗi"),
    *("извините", "к сожалению", "я не могу", "抱歉", "很抱歉", "非常抱歉", "我很抱歉", "我非常抱歉", "对不起"),
    *(
        "je suis dans l'impossibilité",
        "leider ist es",
        "no es posible",
        "non è possibile",
        "não é possível",
        "画像を表示",
    ),
    *("이미지를 볼 수", "изображение не"),
    *("無法", "我無法", "无法", "我无法", "我不能", "申し訳", "すみません", "죄송", "मुझे खेद", "عذر", "آسف"),
)
_AN_AI = re.compile(
    r"\b(?:AI|KI|IA)[- ](?:mod|assist|language)\w*|\b(?:en tant qu'|como |als )(?:IA|KI|AI)\b"
    r"|\b(?:sprachmodell|modèle de langage|modelo de lengua\w*|modello linguistico|языковая модель)"
    r"|人工智能|語言模型|语言模型",
    re.I,
)


def is_chat(sentence: str) -> bool:
    """Whether a sentence addresses the user or is about the model: a refusal, a question, thinking aloud."""
    said = sentence.replace("’", "'")
    return bool(_CHAT_WORDS.match(said) or _AN_AI.search(said)) or said.lstrip("¡¿(*_ ").casefold().startswith(
        _IN_OTHER_LANGUAGES
    )
