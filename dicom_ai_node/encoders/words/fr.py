"""French. "Normal" is never said of what a model has not found."""

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    # outcomes
    "RESULT": "RÉSULTAT",
    "AI RESULT: findings, see the measurements": (
        "RÉSULTAT DE L'IA : éléments détectés, voir les mesures"
    ),
    "The analysis was completed.": "L'analyse est terminée.",
    "NO FINDING": "RIEN DÉTECTÉ",
    "AI RESULT: NO FINDING": "RÉSULTAT DE L'IA : LE MODÈLE N'A RIEN DÉTECTÉ",
    "The images were analysed and nothing was found.": (
        "Les images ont été analysées et le modèle n'a rien détecté."
    ),
    "INCOMPLETE": "INCOMPLET",
    "AI RESULT: INCOMPLETE, a part of the analysis failed": (
        "RÉSULTAT DE L'IA : INCOMPLET, une partie de l'analyse a échoué"
    ),
    "A part of the analysis failed.": "Une partie de l'analyse a échoué.",
    "FAILED": "ÉCHEC",
    "AI FAILED: the images were NOT ANALYSED, because of a technical fault": (
        "ÉCHEC DE L'IA : les images N'ONT PAS ÉTÉ ANALYSÉES, à cause d'un problème technique"
    ),
    "The analysis failed.": "L'analyse a échoué.",
    "NOT SUITABLE": "NON ADAPTÉ",
    "AI NOT SUITABLE: the images were NOT ANALYSED, the model was not made for them": (
        "IA NON ADAPTÉE : les images N'ONT PAS ÉTÉ ANALYSÉES, le modèle n'est pas fait pour elles"
    ),
    "The images are not what this model was made for.": (
        "Ce modèle n'est pas fait pour de telles images."
    ),
    "NO ANSWER": "SANS RÉPONSE",
    "AI NO ANSWER: the model looked and did not decide": (
        "IA SANS RÉPONSE : le modèle a examiné les images et n'a pas tranché"
    ),
    "The model is not sure enough to give an answer.": (
        "Le modèle n'est pas assez sûr pour donner une réponse."
    ),
    # answers
    "FOUND": "DÉTECTÉ",
    "ABSENT": "ABSENT",
    "UNDECIDED": "INCERTAIN",
    # sentences of reports
    "This report replaces an earlier one: images of the study came after that was made.": (
        "Ce rapport en remplace un autre : des images de l'étude sont arrivées après celui-là."
    ),
    "Point in the patient (LPS, mm): {x}, {y}, {z}.": (
        "Point dans le patient (LPS, mm) : {x}, {y}, {z}."
    ),
    "Box in the patient (LPS, mm): centre {x}, {y}, {z}; edges {size}.": (
        "Boîte dans le patient (LPS, mm) : centre {x}, {y}, {z} ; arêtes {size}."
    ),
    "AI {what}: {answer}": "IA {what} : {answer}",
    "AI {what}: {answer} (probability {percent})": "IA {what} : {answer} (probabilité {percent})",
    "The model's probability of it is {percent} %.": (
        "Sa probabilité selon le modèle est de {percent} %."
    ),
    "Earlier ({date}, {model}): {measured}.": "Antérieurement ({date}, {model}) : {measured}.",
    "{model}, another version of the model": "{model}, une autre version du modèle",
    "the same finding": "la même observation",
    # what an object is
    "research use only": "réservé à la recherche",
    "segmentation": "segmentation",
    "saliency map": "carte de saillance",
    "uncertainty map": "carte d'incertitude",
    "summary {status}": "résumé {status}",
    "report {status}": "rapport {status}",
    "report": "rapport",
    "key images": "images clés",
    "marks": "repères",
    "contours": "contours",
    "result, drawn": "résultat, dessiné",
    "AI results recalled": "AI : résultats rappelés",
    "{model} was recalled: {why}. Do not use the objects that are named here.": (
        "{model} a été rappelé : {why}. Ne pas utiliser les objets nommés ici."
    ),
    "Results of {model} on this study were taken back: {why}. Do not use the objects that are "
    "named here.": (
        "Des résultats de {model} sur cette étude ont été retirés : {why}. "
        "Ne pas utiliser les objets nommés ici."
    ),
    # the page
    "ANSWER": "RÉPONSE",
    "WHAT": "QUOI",
    "WHERE": "OÙ",
    "CERTAINTY": "CERTITUDE",
    "MEASURED": "MESURÉ",
    "and {count} more: see the report": "et {count} de plus : voir le rapport",
    "{what} (image {number})": "{what} (image {number})",
    "Model": "Modèle",
    "{title}, version {version}": "{title}, version {version}",
    "Intended use": "Usage prévu",
    "Made for": "Conçu pour",
    "Analysed": "Analyse",
    "{time} by {node}": "{time} par {node}",
    "{one} or {other}": "{one} ou {other}",
    "age {low} to {high} years": "âge de {low} à {high} ans",
    "voxels of {low} to {high} mm": "voxels de {low} à {high} mm",
    "{low} to {high} slices": "{low} à {high} coupes",
    "Images": "Images",
    "Further images": "Autres images",
    "modality not said": "modalité non indiquée",
    "without a number": "sans numéro",
    "series {number} ({modality}), 1 image": "série {number} ({modality}), 1 image",
    "series {number} ({modality}), {count} images": "série {number} ({modality}), {count} images",
    "series {number}": "série {number}",
    "image {number}": "image {number}",
    "frame {number}": "trame {number}",
}
