"""The 56 voices of the synthetic corpus: a variant of espeak-ng, an accent, a pitch and a pace.

No variant speaks in two parts, and long-term spectra differ between parts by 1.4 dB or more on
average; the women of the training part share eight variants. Variants that are robotic, whispered,
comic, distorted or too rough for a fundamental frequency are left out.
"""

from __future__ import annotations

from typing import NamedTuple

# Of each voice: sex, espeak-ng's variant and accent, its pitch setting, words a minute.
_TABLE = {
    "train": """
        m m1 en 56 156 | f f3 en-us 46 156 | m Alex en-gb-scotland 66 179
        | m boris en-gb-x-rp 59 171 | f steph en-029 66 179 | m Denis en-gb-x-gbclan 48 164
        | f Andrea en-us-nyc 40 171 | m gustave en-gb-x-gbcwmd 62 157 | m m3 en-us 51 179
        | f aunty en-gb-scotland 56 164 | m Henrique en-gb-x-rp 35 172 | f anika en-029 39 157
        | m john en-gb-x-gbclan 61 165 | m marcelo en-us-nyc 52 157 | f f4 en-gb-x-gbcwmd 60 179
        | m m4 en 66 180 | f f5 en-gb-scotland 41 172 | m Michael en-gb-x-rp 53 172
        | f steph2 en-029 63 165 | m m5 en-gb-x-gbclan 42 165 | m sandro en-us-nyc 65 158
        | f f3 en-gb-x-gbcwmd 57 157 | m pablo en 43 150 | f steph en-us 58 180
        | m miguel en-gb-x-rp 64 173 | m m7 en-029 55 166 | f Andrea en-gb-x-gbclan 32 172
        | m Mike en-us-nyc 54 158 | f aunty en-gb-x-gbcwmd 66 165 | m paul en 66 151
        | m Diogo en-us 53 174 | f anika en-gb-scotland 32 158 | m m8 en-029 53 166
        | f f4 en-gb-x-gbclan 66 150 | m ed en-us-nyc 46 159 | m michel en-gb-x-gbcwmd 48 152
        | f f5 en 52 173 | m Andy en-us 66 174 | f steph2 en-gb-scotland 51 166
    """,
    "validation": """
        m m2 en 51 156 | f Alicia en-us 33 156 | m Lee en-gb-scotland 66 179
        | f linda en-gb-x-rp 54 179 | m travis en-029 57 171 | f f1 en-gb-x-gbclan 63 171
        | m norbert en-us-nyc 45 164 | f grandma en-gb-x-gbcwmd 46 164
    """,
    "test": """
        m m6 en 51 156 | f Annie en-us 36 156 | m Nguyen en-gb-scotland 41 179
        | f belinda en-gb-x-rp 54 179 | m Gene en-029 63 171 | m iven4 en-gb-x-gbclan 47 164
        | f f2 en-us-nyc 57 171 | m max en-gb-x-gbcwmd 65 157 | f shelby en 53 164
    """,
}


class Voice(NamedTuple):
    """One synthetic speaker."""

    speaker: str  # number in the table and sex, such as "02f"
    part: str
    sex: str
    variant: str
    accent: str
    pitch: int  # 50 is the variant's own, and every 50 more are an octave up
    rate: int  # words a minute


_ROWS = [(part, *row.split()) for part, table in _TABLE.items() for row in table.split("|")]
VOICES = tuple(
    Voice(f"{number:02d}{sex}", part, sex, variant, accent, int(pitch), int(rate))
    for number, (part, sex, variant, accent, pitch, rate) in enumerate(_ROWS, 1)
)
