"""A model on a folder of DICOM files: the worker's attempt, without network and database."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from dicom_ai_node.attempt import run
from dicom_ai_node.config.installed import InstalledModel
from dicom_ai_node.errors import InputError
from dicom_ai_node.folder import series_of
from dicom_ai_node.job import job_key
from dicom_ai_node.language import Language
from dicom_ai_node.models.adapters import open_model
from dicom_ai_node.models.protocol import Model
from dicom_ai_node.report import Report
from dicom_ai_node.request import Request
from dicom_ai_node.study import IMAGE, Series, input_digest


def predict(
    study: Path, installed: InstalledModel, out: Path, language: Language = Language.ENGLISH
) -> Iterator[tuple[Path, Report]]:
    """Each image series of `study`, one after the other: the folder of its results, its report.

    One series writes into `out` itself, several into `out/series-1` and so on.
    """
    if not study.is_dir():
        raise InputError(f"{study} is not a folder: give the folder of one study")
    found = series_of(study)
    if not found:
        raise InputError(f"{study} holds no DICOM images: give the folder of one study")
    model = open_model(installed)
    for number, series in enumerate(found, start=1):
        folder = out if len(found) == 1 else out / f"series-{number}"
        yield folder, _one(series, installed, model, folder, language)


def _one(
    series: Series, installed: InstalledModel, model: Model, folder: Path, language: Language
) -> Report:
    """The files of this attempt replace those of an earlier one in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".predict-") as temporary:
        request = Request(
            job_key=job_key(
                model=installed.package.name,
                version=installed.package.version,
                model_sha256=installed.sha256,
                digest=input_digest({IMAGE: [each.sop_instance_uid for each in series.instances]}),
            ),
            model=installed,
            inputs={IMAGE: series.instances},
            folder=Path(temporary) / "attempt",
            language=language,
        )
        report = run(request, lambda: model)
        for path in request.folder.iterdir():
            path.replace(folder / path.name)
    return report
