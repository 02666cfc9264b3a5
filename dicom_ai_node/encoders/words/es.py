"""Spanish. "Normal" is never said of what a model has not found."""

from collections.abc import Mapping

SENTENCES: Mapping[str, str] = {
    # outcomes
    "RESULT": "RESULTADO",
    "AI RESULT: findings, see the measurements": (
        "RESULTADO DE LA IA: hallazgos, véanse las mediciones"
    ),
    "The analysis was completed.": "El análisis se ha completado.",
    "NO FINDING": "NADA DETECTADO",
    "AI RESULT: NO FINDING": "RESULTADO DE LA IA: EL MODELO NO HA DETECTADO NADA",
    "The images were analysed and nothing was found.": (
        "Las imágenes se han analizado y el modelo no ha detectado nada."
    ),
    "INCOMPLETE": "INCOMPLETO",
    "AI RESULT: INCOMPLETE, a part of the analysis failed": (
        "RESULTADO DE LA IA: INCOMPLETO, una parte del análisis ha fallado"
    ),
    "A part of the analysis failed.": "Una parte del análisis ha fallado.",
    "FAILED": "ERROR",
    "AI FAILED: the images were NOT ANALYSED, because of a technical fault": (
        "ERROR DE LA IA: las imágenes NO SE HAN ANALIZADO, por un problema técnico"
    ),
    "The analysis failed.": "El análisis ha fallado.",
    "NOT SUITABLE": "NO ADECUADO",
    "AI NOT SUITABLE: the images were NOT ANALYSED, the model was not made for them": (
        "IA NO ADECUADA: las imágenes NO SE HAN ANALIZADO, el modelo no está hecho para ellas"
    ),
    "The images are not what this model was made for.": (
        "Este modelo no está hecho para imágenes como estas."
    ),
    "NO ANSWER": "SIN RESPUESTA",
    "AI NO ANSWER: the model looked and did not decide": (
        "IA SIN RESPUESTA: el modelo ha examinado las imágenes y no se ha decidido"
    ),
    "The model is not sure enough to give an answer.": (
        "El modelo no está lo bastante seguro para dar una respuesta."
    ),
    # answers
    "FOUND": "DETECTADO",
    "ABSENT": "AUSENTE",
    "UNDECIDED": "INCIERTO",
    # sentences of reports
    "This report replaces an earlier one: images of the study came after that was made.": (
        "Este informe sustituye a otro anterior: después de aquel llegaron imágenes del estudio."
    ),
    "Point in the patient (LPS, mm): {x}, {y}, {z}.": (
        "Punto en el paciente (LPS, mm): {x}, {y}, {z}."
    ),
    "Box in the patient (LPS, mm): centre {x}, {y}, {z}; edges {size}.": (
        "Caja en el paciente (LPS, mm): centro {x}, {y}, {z}; aristas {size}."
    ),
    "AI {what}: {answer}": "IA {what}: {answer}",
    "AI {what}: {answer} (probability {percent})": "IA {what}: {answer} (probabilidad {percent})",
    "The model's probability of it is {percent} %.": (
        "Su probabilidad según el modelo es del {percent} %."
    ),
    "Earlier ({date}, {model}): {measured}.": "Anteriormente ({date}, {model}): {measured}.",
    "{model}, another version of the model": "{model}, otra versión del modelo",
    "the same finding": "el mismo hallazgo",
    # what an object is
    "research use only": "solo para investigación",
    "segmentation": "segmentación",
    "saliency map": "mapa de relevancia",
    "uncertainty map": "mapa de incertidumbre",
    "summary {status}": "resumen {status}",
    "report {status}": "informe {status}",
    "report": "informe",
    "key images": "imágenes clave",
    "marks": "marcas",
    "contours": "contornos",
    "result, drawn": "resultado, dibujado",
    "AI results recalled": "AI: resultados retirados",
    "{model} was recalled: {why}. Do not use the objects that are named here.": (
        "{model} ha sido retirado: {why}. No utilice los objetos que se nombran aquí."
    ),
    "Results of {model} on this study were taken back: {why}. Do not use the objects that are "
    "named here.": (
        "Se retiraron resultados de {model} sobre este estudio: {why}. "
        "No utilizar los objetos nombrados aquí."
    ),
    # the page
    "ANSWER": "RESPUESTA",
    "WHAT": "QUÉ",
    "WHERE": "DÓNDE",
    "CERTAINTY": "CERTEZA",
    "MEASURED": "MEDIDO",
    "and {count} more: see the report": "y {count} más: véase el informe",
    "{what} (image {number})": "{what} (imagen {number})",
    "Model": "Modelo",
    "{title}, version {version}": "{title}, versión {version}",
    "Intended use": "Uso previsto",
    "Made for": "Hecho para",
    "Analysed": "Análisis",
    "{time} by {node}": "{time} por {node}",
    "{one} or {other}": "{one} o {other}",
    "age {low} to {high} years": "edad de {low} a {high} años",
    "voxels of {low} to {high} mm": "vóxeles de {low} a {high} mm",
    "{low} to {high} slices": "de {low} a {high} cortes",
    "Images": "Imágenes",
    "Further images": "Otras imágenes",
    "modality not said": "modalidad no indicada",
    "without a number": "sin número",
    "series {number} ({modality}), 1 image": "serie {number} ({modality}), 1 imagen",
    "series {number} ({modality}), {count} images": "serie {number} ({modality}), {count} imágenes",
    "series {number}": "serie {number}",
    "image {number}": "imagen {number}",
    "frame {number}": "cuadro {number}",
}
