"""German. "Kein Befund" is never said: to a radiologist it reads as "healthy"."""

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    # outcomes
    "RESULT": "ERGEBNIS",
    "AI RESULT: findings, see the measurements": "KI-ERGEBNIS: Befunde, siehe Messwerte",
    "The analysis was completed.": "Die Auswertung ist abgeschlossen.",
    "NO FINDING": "NICHTS GEFUNDEN",
    "AI RESULT: NO FINDING": "KI-ERGEBNIS: DAS MODELL HAT NICHTS GEFUNDEN",
    "The images were analysed and nothing was found.": (
        "Die Bilder wurden ausgewertet, und das Modell hat nichts gefunden."
    ),
    "INCOMPLETE": "UNVOLLSTÄNDIG",
    "AI RESULT: INCOMPLETE, a part of the analysis failed": (
        "KI-ERGEBNIS: UNVOLLSTÄNDIG, ein Teil der Auswertung ist fehlgeschlagen"
    ),
    "A part of the analysis failed.": "Ein Teil der Auswertung ist fehlgeschlagen.",
    "FAILED": "FEHLGESCHLAGEN",
    "AI FAILED: the images were NOT ANALYSED, because of a technical fault": (
        "KI FEHLGESCHLAGEN: die Bilder wurden NICHT AUSGEWERTET, wegen einer technischen Störung"
    ),
    "The analysis failed.": "Die Auswertung ist fehlgeschlagen.",
    "NOT SUITABLE": "NICHT GEEIGNET",
    "AI NOT SUITABLE: the images were NOT ANALYSED, the model was not made for them": (
        "KI NICHT GEEIGNET: die Bilder wurden NICHT AUSGEWERTET, "
        "das Modell ist nicht für sie gemacht"
    ),
    "The images are not what this model was made for.": (
        "Für solche Bilder ist dieses Modell nicht gemacht."
    ),
    "NO ANSWER": "KEINE ANTWORT",
    "AI NO ANSWER: the model looked and did not decide": (
        "KI OHNE ANTWORT: das Modell hat die Bilder angesehen und sich nicht entschieden"
    ),
    "The model is not sure enough to give an answer.": (
        "Das Modell ist nicht sicher genug für eine Antwort."
    ),
    # answers
    "FOUND": "GEFUNDEN",
    "ABSENT": "KEIN NACHWEIS",
    "UNDECIDED": "UNKLAR",
    # sentences of reports
    "This report replaces an earlier one: images of the study came after that was made.": (
        "Dieser Bericht ersetzt einen früheren: nach jenem kamen weitere Bilder der Studie."
    ),
    "Point in the patient (LPS, mm): {x}, {y}, {z}.": (
        "Punkt im Patienten (LPS, mm): {x}, {y}, {z}."
    ),
    "Box in the patient (LPS, mm): centre {x}, {y}, {z}; edges {size}.": (
        "Quader im Patienten (LPS, mm): Mitte {x}, {y}, {z}; Kanten {size}."
    ),
    "AI {what}: {answer}": "KI {what}: {answer}",
    "AI {what}: {answer} (probability {percent})": (
        "KI {what}: {answer} (Wahrscheinlichkeit {percent})"
    ),
    "The model's probability of it is {percent} %.": (
        "Die Wahrscheinlichkeit dafür ist nach dem Modell {percent} %."
    ),
    "Earlier ({date}, {model}): {measured}.": "Früher ({date}, {model}): {measured}.",
    "{model}, another version of the model": "{model}, eine andere Version des Modells",
    "the same finding": "derselbe Befund",
    # what an object is
    "research use only": "nur für Forschungszwecke",
    "segmentation": "Segmentierung",
    "saliency map": "Aufmerksamkeitskarte",
    "uncertainty map": "Unsicherheitskarte",
    "summary {status}": "Übersicht {status}",
    "report {status}": "Bericht {status}",
    "report": "Bericht",
    "key images": "Schlüsselbilder",
    "marks": "Markierungen",
    "contours": "Konturen",
    "result, drawn": "Ergebnis, gezeichnet",
    "AI results recalled": "AI: Ergebnisse zurückgerufen",
    "{model} was recalled: {why}. Do not use the objects that are named here.": (
        "{model} wurde zurückgerufen: {why}. Die hier genannten Objekte nicht verwenden."
    ),
    "Results of {model} on this study were taken back: {why}. Do not use the objects that are "
    "named here.": (
        "Ergebnisse von {model} zu dieser Studie wurden zurückgezogen: {why}. "
        "Die hier genannten Objekte nicht verwenden."
    ),
    # the page
    "ANSWER": "ANTWORT",
    "WHAT": "WAS",
    "WHERE": "WO",
    "CERTAINTY": "SICHERHEIT",
    "MEASURED": "GEMESSEN",
    "and {count} more: see the report": "und {count} weitere: siehe Bericht",
    "{what} (image {number})": "{what} (Bild {number})",
    "Model": "Modell",
    "{title}, version {version}": "{title}, Version {version}",
    "Intended use": "Zweck",
    "Made for": "Gemacht für",
    "Analysed": "Ausgewertet",
    "{time} by {node}": "{time} von {node}",
    "{one} or {other}": "{one} oder {other}",
    "age {low} to {high} years": "Alter {low} bis {high} Jahre",
    "voxels of {low} to {high} mm": "Voxel von {low} bis {high} mm",
    "{low} to {high} slices": "{low} bis {high} Schichten",
    "Images": "Bilder",
    "Further images": "Weitere Bilder",
    "modality not said": "Modalität nicht genannt",
    "without a number": "ohne Nummer",
    "series {number} ({modality}), 1 image": "Serie {number} ({modality}), 1 Bild",
    "series {number} ({modality}), {count} images": "Serie {number} ({modality}), {count} Bilder",
    "series {number}": "Serie {number}",
    "image {number}": "Bild {number}",
    "frame {number}": "Frame {number}",
}
