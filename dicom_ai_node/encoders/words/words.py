"""What objects say in our own words, in the language of the site. The English text is the key.

Not in any catalogue: meanings of codes, which are the standard's; the words of a model's author;
reasons, which come from wherever something went wrong.
"""

from collections.abc import Mapping

from dicom_ai_node.encoders.words import de, es, fr
from dicom_ai_node.language import Language

CATALOGUES: Mapping[Language, Mapping[str, str]] = {
    Language.GERMAN: de.SENTENCES,
    Language.FRENCH: fr.SENTENCES,
    Language.SPANISH: es.SENTENCES,
}


def say(language: Language, sentence: str, **values: object) -> str:
    """With `values` in its places; in English where the catalogue lacks it."""
    return CATALOGUES.get(language, {}).get(sentence, sentence).format(**values)
