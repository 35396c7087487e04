"""What a run depends on, and whether any of it is new. Imports nothing heavy: it decides whether to work at all."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestration.lib.errors import UserError
from orchestration.lib.mapping import Mapping
from orchestration.lib.places import Found, Places, file_sha256, opened
from orchestration.lib.settings import Settings

# What of the project decides the marts' content.
_CODE = ("dbt_project", "seeds", "expectations", "orchestration")
_CODE_SUFFIXES = {".sql", ".yml", ".yaml", ".csv", ".py", ".j2", ".md"}
_NOT_CODE = {"target", "logs", "__pycache__"}


@dataclass(frozen=True)
class InputFile:
    """One raw file or table as seen now.

    Attributes:
        name, path, size, changed_by_ns: see `Found`.
        sha256: of the content.
        read_ns: when the content was read for that, nanoseconds since the epoch.
    """

    source: str
    name: str
    path: str
    size: int
    changed_by_ns: int | None
    sha256: str
    read_ns: int

    def vouches_for(self, found: Found) -> bool:
        """Whether what is found now has this content for certain, going by size and time alone."""
        is_settled = self.changed_by_ns is not None and self.changed_by_ns < self.read_ns
        return is_settled and (self.size, self.changed_by_ns) == (found.size, found.changed_by_ns)


@dataclass(frozen=True)
class InputState:
    """All that a run's result depends on.

    Attributes:
        files: the raw files.
        mapping: SHA-256 of the mapping file, and of the seeds that it brings.
        code: SHA-256 of the models, macros, seeds, suites and Python code.
    """

    files: tuple[InputFile, ...]
    mapping: str
    code: str

    @property
    def digest(self) -> str:
        """Equal for two states exactly when a run would give the same marts."""
        content = [[f.source, f.name, f.sha256] for f in self.files]
        return hashlib.sha256(json.dumps([content, self.mapping, self.code]).encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """For the manifest: the digest and what it was made of, without paths of this machine."""
        files = [{"source": f.source, "name": f.name, "size": f.size, "sha256": f.sha256} for f in self.files]
        return {"digest": self.digest, "mapping": self.mapping, "code": self.code, "files": files}


def fingerprint(settings: Settings, mapping: Mapping) -> InputState:
    """The state of the inputs now.

    A file whose size and time are as last seen is not read again; the memory of it is `inputs.json` in the
    work directory. So that no change is missed, the time counts only if the file had been at rest when it was read.

    Raises:
        UserError: a source has no file and never had one, or a seed that the mapping names has none.
    """
    memory_path = settings.work_dir / "inputs.json"
    memory = _remembered(memory_path)
    files = []
    with opened(mapping) as places:
        for source in mapping.sources:
            found = places.find(source)
            if not found and not any(known.source == source for known in memory.values()):
                raise UserError(
                    f"{mapping.path}: source '{source}' reads {', '.join(mapping.sources[source].read)}, "
                    "which matches no file.",
                    "Paths are relative to the mapping file's folder.",
                )
            files += [look(places, source, file, memory.get(file.path)) for file in found]
    state = InputState(tuple(files), _mapping_sha256(mapping), _code_sha256(settings.project_root))
    memory_path.parent.mkdir(parents=True, exist_ok=True)
    memory.update({f.path: f for f in files})
    replacement = memory_path.with_suffix(".new")
    replacement.write_text(json.dumps({path: asdict(file) for path, file in memory.items()}, indent=1))
    replacement.replace(memory_path)
    return state


def look(places: Places, source: str, found: Found, known: InputFile | None) -> InputFile:
    """A file with its content's digest: the digest that is known, where size and time vouch for it."""
    if known and known.vouches_for(found):
        digest, read_ns = known.sha256, known.read_ns
    else:
        read_ns = time.time_ns()
        digest = places.sha256(source, found.path)
    return InputFile(source, found.name, found.path, found.size, found.changed_by_ns, digest, read_ns)


def _remembered(path: Path) -> dict[str, InputFile]:
    """The files as last seen, by path; none where the memory is lost, or another release wrote it."""
    try:
        return {path: InputFile(**file) for path, file in json.loads(path.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _mapping_sha256(mapping: Mapping) -> str:
    digest = file_sha256(mapping.path)
    seeds = {name: file_sha256(path) for name, path in mapping.seed_paths().items()}
    return hashlib.sha256(json.dumps([digest, seeds]).encode()).hexdigest() if seeds else digest


def _code_sha256(root: Path) -> str:
    digest = hashlib.sha256()
    for path in _code_files(root):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _code_files(root: Path) -> Iterator[Path]:
    for folder in _CODE:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in _CODE_SUFFIXES and not _NOT_CODE.intersection(path.parts):
                yield path
