"""English sentences from a small grammar of the project's own, all distinct.

A sentence of a pattern is a number in mixed radix, one digit a slot. A stride that shares no factor
with their count meets each once, without random numbers, whose generators' versions could differ.
"""

from __future__ import annotations

import math
import re

_SLOTS = """
adult: old baker|young doctor|village teacher|tall fisherman|night guard|quiet farmer|busy chemist
|ship's cook|new librarian|shy musician|truck driver|careful judge|retired nurse|cheerful plumber
|local weaver|head gardener
group: seven children|both engineers|the choir members|three cousins|our neighbours
|the harvest workers|four students|the younger players|two photographers|the dance teachers
|five travellers|the railway clerks
name: Agnes|Bernard|Chloe|Duncan|Fiona|George|Hannah|Joyce|Keith|Laura|Maurice|Naomi|Oliver|Phoebe
|Rachel|Sean|Thea|Vincent
friend: Arthur|Beth|Callum|Deirdre|Edgar|Faye|Gavin|Isobel|Jonah|Kathleen|Leo|Maeve|Noel|Judith
|Rufus|Sheila|Toby|Yvonne
carried: carried|repaired|borrowed|measured|discovered|packed|showed us|painted|sold|weighed|wrapped
|brought back|polished|counted|hid|photographed
carry: carry|repair|borrow|measure|unpack|move|paint|sell|weigh|wrap|bring back|polish|check|hide
|fetch|choose
thing: wooden ladder|garden chair|copper kettle|leather suitcase|broken clock|sheepskin rug
|yellow bicycle|iron gate|stone jug|small telescope|paper lantern|fishing net|spare wheel
|silver whistle|glass bowl|feather pillow|map of the valley|box of oranges|jar of honey
|bag of walnuts|pair of boots|roll of cloth|sheet of music|bunch of keys
where: behind the church|at the edge of the wood|beside the canal|in the upper room|near the bridge
|under the stairs|across the square|by the kitchen window|outside the theatre|on the far platform
|below the orchard|next to the post office|in the garage|along the sea wall|at the top of the hill
|inside the old mill
when: before breakfast|on Thursday evening|just after midnight|at a quarter past four
|during the storm|early this morning|in the first week of June|while it was raining|as usual
|without any help|two hours later|for the third time|at the end of August|once the shops had closed
|on the last day of the year|in spite of the cold
weather: the fog lifted|the wind dropped|the snow began to melt|it was far too hot
|thunder was coming|the river rose again|the sun had gone down|the air smelled of rain
|the ice was thin|the moon was bright|the fields were dry|hail beat on the roof
reason: nobody could find the key|the engine made a strange noise|the bus was already full
|the path was too narrow|their voices were tired|the price had doubled|the dog refused to wait
|a friend had asked them to|the lights went out|it belonged to someone else|the road was closed
|the boat would leave soon|the shelf might fall|they had promised to share
|the buyer changed his mind|everybody else was asleep
hope: would join us for supper|had already gone to Glasgow|could fix almost anything
|never learned to swim|should try a shorter speech|kept bees for thirty years
|owned a much larger house|was going to win the race|found the whole thing funny
|chose the wrong door|knew how to bake bread|sang better than the others
said: thought|was sure|told me|heard|had no idea|believed|suggested|wrote to say|dreamed|knew
""".replace("\n|", "|")

_PATTERNS = tuple(
    tuple(re.split(r"[{}]", pattern))
    for pattern in (
        "The {adult} {carried} the {thing} {where}, because {reason}.",
        "When {weather}, {group} left the {thing} {where} and walked home.",
        "Did {name} really {carry} that {thing} {where}, or was it the {adult}?",
        "{name} {said} that {friend} {hope}, although {weather}.",
        "Please {carry} the {thing} {where}, and call {name} {when}.",
        "{when}, {group} met {friend} {where}, but {reason}.",
        "If the {adult} asks, the {thing} is {where}, and {name} will {carry} it.",
    )
)
_FILLERS = {slot: fillers.split("|") for slot, fillers in re.findall(r"(\w+): (.+)", _SLOTS)}
_SIZES = tuple(math.prod(len(_FILLERS[slot]) for slot in pattern[1::2]) for pattern in _PATTERNS)
N_DISTINCT = len(_PATTERNS) * min(_SIZES)  # sentences before the first repetition


def _stride(size: int) -> int:
    """Return a number coprime to ``size`` near its golden section, which mixes the words well."""
    stride = round(size * (math.sqrt(5) - 1) / 2)
    while math.gcd(stride, size) > 1:
        stride += 1
    return stride


def sentence(number: int, seed: int = 0) -> str:
    """Return sentence ``number`` of the grammar; another ``seed`` starts elsewhere in it.

    >>> sentence(0)
    'The head gardener repaired the roll of cloth next to the post office, because the dog ...'
    >>> len({sentence(number) for number in range(5488)})
    5488
    """
    turn, which = divmod(number, len(_PATTERNS))
    pattern, size = _PATTERNS[which], _SIZES[which]
    # Each pattern starts elsewhere, so that neighbouring sentences do not share their words.
    place = (turn + 101 * (which + 1) + 7919 * seed) * _stride(size) % size
    words = list(pattern)
    for position in range(1, len(pattern), 2):
        fillers = _FILLERS[pattern[position]]
        place, digit = divmod(place, len(fillers))
        words[position] = fillers[digit]
    text = "".join(words)
    return text[0].upper() + text[1:]
