"""The project's pages: which there are, what they link to, and the anchors of their headings as on GitHub."""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
INDEX = "docs/README.md"

_FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_CODE = re.compile(r"(`+)(.+?)\1")


def tracked(*patterns: str) -> list[str]:
    """Files of the project that match, from the root, sorted; those to be committed too."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    return sorted({name for name in listed if name and (ROOT / name).is_file()})


def pages() -> list[str]:
    """Every Markdown file of the project."""
    return tracked("*.md")


def notebooks() -> list[str]:
    return tracked("notebooks/*.ipynb")


def outside_code(text: str) -> Iterator[tuple[int, str, bool]]:
    """Lines by number from 1 on, and whether each is text rather than in a fenced block."""
    fence = ""
    for number, line in enumerate(text.splitlines(), 1):
        found = _FENCE.match(line)
        if fence:
            yield number, line, False
            if found and found[1].startswith(fence) and line.strip() == found[1]:
                fence = ""
        elif found:
            fence = found[1]
            yield number, line, False
        else:
            yield number, line, True


@dataclass(frozen=True)
class Link:
    page: str
    line: int
    target: str

    @property
    def is_external(self) -> bool:
        return re.match(r"[a-z][a-z0-9+.-]*:", self.target) is not None

    @property
    def anchor(self) -> str:
        return self.target.partition("#")[2]

    @property
    def path(self) -> str:
        """What it points to, from the root; the page itself where it is an anchor alone."""
        return resolved(self.page, self.target.partition("#")[0])


def resolved(page: str, target: str) -> str:
    """`target` of a link in `page`, from the root; with `..` in front where it lies outside."""
    if not target:
        return page
    parts: list[str] = []
    for part in (*PurePosixPath(page).parent.parts, *PurePosixPath(target).parts):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return "/".join(parts) or "."


def links(page: str, text: str) -> list[Link]:
    found = []
    for number, line, is_text in outside_code(text):
        if is_text:
            spans = [match.span() for match in _CODE.finditer(line)]
            found += [
                Link(page, number, match[2])
                for match in _LINK.finditer(line)
                if not any(begin < match.start() < end for begin, end in spans)
            ]
    return found


def with_links(text: str, change: Callable[[str], str]) -> str:
    """`text` with every link's target replaced by `change(target)`."""
    lines = [
        _LINK.sub(lambda match: match[1] + change(match[2]) + match[3], line) if is_text else line
        for _, line, is_text in outside_code(text)
    ]
    return "\n".join(lines) + "\n"


def slug(heading: str, separator: str = "-") -> str:
    """The anchor that GitHub gives to a heading's text, once markup is gone."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", separator)


def anchors(text: str) -> set[str]:
    """Of all headings; a second one of the same text gets `-1`, and so on."""
    found: dict[str, int] = {}
    names = set()
    for _, line, is_text in outside_code(text):
        heading = re.match(r"#{1,6} +(.*?)(?: +#+)? *$", line) if is_text else None
        if heading:
            plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            name = slug(re.sub(r"[`*]", "", plain))
            count = found.get(name, -1) + 1
            found[name] = count
            names.add(f"{name}-{count}" if count else name)
    return names


@dataclass(frozen=True)
class Section:
    title: str
    entries: list[tuple[str, str]]  # title and path from the root


def index(text: str | None = None) -> list[Section]:
    """What the index names, section by section: the first link of every item."""
    sections: list[Section] = []
    for line in (text or (ROOT / INDEX).read_text()).splitlines():
        if line.startswith("## "):
            sections.append(Section(line[3:], []))
        elif found := re.match(r"- \[([^\]]+)\]\(([^)#]+)\)", line):
            sections[-1].entries.append((found[1], resolved(INDEX, found[2])))
    return sections


def problems() -> list[str]:
    """Links of all pages to what is not there, as `page:line: target: what is wrong`."""
    texts = {page: (ROOT / page).read_text() for page in pages()}
    found = []
    for page, text in texts.items():
        for link in links(page, text):
            where = f"{page}:{link.line}: {link.target}"
            if link.is_external:
                continue
            if link.target.startswith("/") or link.path.startswith(".."):
                found.append(f"{where}: leaves the project")
            elif not (ROOT / link.path).exists():
                found.append(f"{where}: there is no {link.path}")
            elif link.anchor and link.path not in texts:
                found.append(f"{where}: {link.path} has no anchors")
            elif link.anchor and link.anchor not in anchors(texts[link.path]):
                found.append(f"{where}: {link.path} has no such heading")
    return found
