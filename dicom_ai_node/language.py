"""The languages that the node writes in, by their tags (RFC 5646)."""

import enum


class Language(enum.StrEnum):
    ENGLISH = "en"
    GERMAN = "de"
    FRENCH = "fr"
    SPANISH = "es"
