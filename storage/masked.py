"""Hides keys, signatures and passwords in texts that are shown, logged, stored or passed on."""

import re
from collections.abc import Mapping

PASSWORD = re.compile(  # a port is none; keys may hold "/"; a user of a web server may be a token
    r"(?:(?<=http)|(?<=https))://[^/@\s\"']+@|://[^/@:\s]*:(?!\d*/)[^@\s\"']*@"
)
SIGNED = re.compile(  # by Amazon, Google, CloudFront, Azure, Akamai and others
    r"(?<=[?&#])(X-(Amz|Goog)-[\w-]+|Signature|Expires|Policy|Key-Pair-Id|AWSAccessKeyId|GoogleAccessId|sig|se|st|sp|sv|sr"
    r"|spr|sip|ske|skt|sks|skv|skoid|sktid|((access|auth|session|sas)_?)?token|(api|access|secret|account)_?key"
    r"|secret_access_key|client_secret|passw(or)?d|secret|auth|jwt|hdn(ea|tl|ts))=[^&\s'\"]*&?",
    re.IGNORECASE,
)
_SECRETS = re.compile(r"KEY|SECRET|TOKEN|PASSW(OR)?D|CREDENTIAL|AUTH_STRING|CONNECTION", re.IGNORECASE)


def masked(text: str) -> str:
    """A text without the keys, signatures and passwords of the addresses in it."""
    return PASSWORD.sub("://***@", SIGNED.sub("", text))


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that hold no secret, judged by their name and by keys in their value."""
    return {name: value for name, value in environment.items() if not _SECRETS.search(name) and masked(value) == value}
