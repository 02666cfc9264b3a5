"""What browsers keep for us, and cannot change."""

import hashlib

from itsdangerous import URLSafeTimedSerializer


def signer(key: bytes, salt: str) -> URLSafeTimedSerializer:
    """`salt` tells one use from another: what is signed for one is nothing for another."""
    digest = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
    return URLSafeTimedSerializer(key, salt=salt, signer_kwargs=digest)
