"""What the sample sessions are about: novels in the making, from the first idea to the last outline."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple


class Novel(NamedTuple):
    """One novel that a session works on."""

    title: str
    genre: str
    premise: str
    places: Sequence[str]
    characters: Sequence[tuple[str, str]]
    """Name, and who that is."""
    turns: Sequence[str]
    """What happens, in order."""


STAGES: Final = ("Concept", "Worldview", "Character", "Plot")
"""The stages of a session, in order; also a segment of the events' types."""

NOVELS: Final = (
    Novel(
        "The Cartographer of Tides",
        "fantasy",
        "A map-maker draws coasts that the sea obeys, until a coast appears that she never drew.",
        ("the drowned library of Osk", "a harbour that moves at night", "the dry lighthouse"),
        (
            ("Ilse Varnholt", "a map-maker who has never learned to swim"),
            ("Tobin", "her apprentice, whose handwriting the sea prefers"),
            ("the Registrar", "who keeps the only copy of the first map"),
        ),
        (
            "An island missing from every chart asks to be drawn.",
            "Tobin corrects a coast behind her back, and a village is saved.",
            "The Registrar burns the first map; the tide comes in and stays.",
            "Ilse draws herself a bridge and walks to the unknown coast.",
        ),
    ),
    Novel(
        "Nine Minutes to Proxima",
        "science fiction",
        "Every letter home takes nine minutes longer than physics allows, and nobody aboard says why.",
        ("the long corridor C", "the garden under the reactor", "a post office with one counter"),
        (
            ("Amara Okonkwo", "the ship's postmistress"),
            ("Linus-7", "a maintenance mind that collects stamps"),
            ("Captain Reyes", "who answers letters that were never sent"),
        ),
        (
            "A letter arrives that Amara will write in a week.",
            "Linus-7 finds nine minutes hidden in the air recycling logs.",
            "The captain admits that the ship turned round years ago.",
            "The crew votes by letter on which way home lies.",
        ),
    ),
    Novel(
        "The Quiet Orchestra",
        "mystery",
        "During a concert nobody plays a wrong note, and yet the conductor is found poisoned by a score.",
        ("the Aldergasse concert hall", "an instrument maker's attic", "the 2 a.m. tram"),
        (
            ("Hedda Brandt", "second violin and amateur chemist"),
            ("Inspector Sorge", "who is tone-deaf and relies on it"),
            ("Florian Maus", "page-turner to three generations of pianists"),
        ),
        (
            "The ink on page eleven is older than the symphony.",
            "Sorge notices who did not turn the page.",
            "Hedda plays the missing bar and the audience recognises it.",
            "The orchestra performs in silence until the murderer hums along.",
        ),
    ),
    Novel(
        "Salt and Cinnamon",
        "family saga",
        "Three sisters inherit a spice shop, each with a third of the recipe that made it famous.",
        ("the shop on Lantern Street", "a warehouse in Kochi", "grandmother's kitchen"),
        (
            ("Meera", "the eldest, who left and came back with debts"),
            ("Anjali", "who stayed and never said what it cost"),
            ("Ruth", "the half-sister in the will's last line"),
        ),
        (
            "The recipe's thirds contradict each other.",
            "A competitor sells a mixture that smells of their childhood.",
            "Ruth finds grandmother's ledger, written in a hand that is not hers.",
            "The sisters cook together once, with the door locked.",
        ),
    ),
    Novel(
        "字里行间的雨",
        "magic realism",
        "In a town where it rains characters, a girl collects the sentences that fall on her roof.",
        ("青石巷", "the bindery by the weir", "the umbrella school"),
        (
            ("林小雨", "who reads the weather aloud"),
            ("老周", "a bookbinder who repairs storms"),
            ("the postman", "who delivers only what has fallen"),
        ),
        (
            "One morning it rains the same sentence everywhere.",
            "老周 binds a flood into a single volume.",
            "小雨 finds her own name on a dry page.",
            "The town agrees to read only every second line, and the sun comes out.",
        ),
    ),
)


def proposal(novel: Novel, stage: str, version: int) -> Mapping[str, object]:
    """What the author is shown of a stage; `version` counts proposals from 0."""
    if stage == "Concept":
        return {"title": novel.title, "genre": novel.genre, "premise": novel.premise, "version": version + 1}
    if stage == "Worldview":
        return {"place": novel.places[version % len(novel.places)], "tone": novel.genre}
    if stage == "Character":
        name, who = novel.characters[version % len(novel.characters)]
        return {"name": name, "description": f"{name}, {who}."}
    return {"chapter": version + 1, "outline": novel.turns[version % len(novel.turns)]}
