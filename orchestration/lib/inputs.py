"""What a run depends on, and whether any of it is new. Imports nothing heavy: it decides whether to work at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestration.lib.errors import UserError
from orchestration.lib.mapping import Mapping, source_files
from orchestration.lib.settings import Settings

# What of the project decides the marts' content.
_CODE = ("dbt_project", "seeds", "expectations", "orchestration")
_CODE_SUFFIXES = {".sql", ".yml", ".yaml", ".csv", ".py", ".j2", ".md"}
_NOT_CODE = {"target", "logs", "__pycache__"}


@dataclass(frozen=True)
class InputFile:
    """One raw file as seen now.

    Attributes:
        name: the name kept in the raw table.
        size: bytes.
        mtime_ns: modification time, nanoseconds since the epoch.
        sha256: of the content.
    """

    source: str
    name: str
    path: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class InputState:
    """All that a run's result depends on.

    Attributes:
        files: the raw files.
        mapping: SHA-256 of the mapping file.
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

    A file whose size and modification time are as last seen is not read again; the memory of it is
    `inputs.json` in the work directory.

    Raises:
        UserError: a source has no file and never had one.
    """
    memory_path = settings.work_dir / "inputs.json"
    memory = _remembered(memory_path)
    files = []
    for source in mapping.sources:
        found = source_files(mapping, source)
        for name, path in found.items():
            stat = path.stat()
            known = memory.get(str(path))
            if known and (known["size"], known["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns):
                digest = known["sha256"]
            else:
                digest = _file_sha256(path)
            files.append(InputFile(source, name, str(path), stat.st_size, stat.st_mtime_ns, digest))
        if not found and not _was_loaded(memory, source):
            raise UserError(
                f"{mapping.path}: source '{source}' reads {', '.join(mapping.sources[source].read)}, "
                "which matches no file.",
                "Paths are relative to the mapping file's folder.",
            )
    state = InputState(tuple(files), _file_sha256(mapping.path), _code_sha256(settings.project_root))
    memory_path.parent.mkdir(parents=True, exist_ok=True)
    memory.update({f.path: asdict(f) for f in files})
    replacement = memory_path.with_suffix(".new")
    replacement.write_text(json.dumps(memory, indent=1))
    replacement.replace(memory_path)
    return state


def _remembered(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}


def _was_loaded(memory: dict[str, Any], source: str) -> bool:
    return any(file["source"] == source for file in memory.values())


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
