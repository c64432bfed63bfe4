"""The 56 voices of the synthetic corpus: who they are, measured and chosen once.

A voice is one of espeak-ng's variants (its formants, breath and roughness) speaking with one of
eight English accents at a pitch and pace of its own. Variants that are robotic, whispered or
comic were left out by name; those that are so loud that they distort, or so rough that their
fundamental frequency cannot be followed, by measurement. The women of the training part share
eight variants, with other accents and pitches; every other voice has a variant of its own. No
variant speaks in two parts, nor do two that sound nearly alike: between parts, long-term spectra
differ by 1.4 dB or more on average.
"""

from __future__ import annotations

from typing import NamedTuple

# part, sex, espeak-ng's variant and accent, its pitch setting, words a minute.
_TABLE = """
train      m  m1       en              56  156
train      f  f3       en-us           46  156
train      m  Alex     en-gb-scotland  66  179
train      m  boris    en-gb-x-rp      59  171
train      f  steph    en-029          66  179
train      m  Denis    en-gb-x-gbclan  48  164
train      f  Andrea   en-us-nyc       40  171
train      m  gustave  en-gb-x-gbcwmd  62  157
train      m  m3       en-us           51  179
train      f  aunty    en-gb-scotland  56  164
train      m  Henrique en-gb-x-rp      35  172
train      f  anika    en-029          39  157
train      m  john     en-gb-x-gbclan  61  165
train      m  marcelo  en-us-nyc       52  157
train      f  f4       en-gb-x-gbcwmd  60  179
train      m  m4       en              66  180
train      f  f5       en-gb-scotland  41  172
train      m  Michael  en-gb-x-rp      53  172
train      f  steph2   en-029          63  165
train      m  m5       en-gb-x-gbclan  42  165
train      m  sandro   en-us-nyc       65  158
train      f  f3       en-gb-x-gbcwmd  57  157
train      m  pablo    en              43  150
train      f  steph    en-us           58  180
train      m  miguel   en-gb-x-rp      64  173
train      m  m7       en-029          55  166
train      f  Andrea   en-gb-x-gbclan  32  172
train      m  Mike     en-us-nyc       54  158
train      f  aunty    en-gb-x-gbcwmd  66  165
train      m  paul     en              66  151
train      m  Diogo    en-us           53  174
train      f  anika    en-gb-scotland  32  158
train      m  m8       en-029          53  166
train      f  f4       en-gb-x-gbclan  66  150
train      m  ed       en-us-nyc       46  159
train      m  michel   en-gb-x-gbcwmd  48  152
train      f  f5       en              52  173
train      m  Andy     en-us           66  174
train      f  steph2   en-gb-scotland  51  166
validation m  m2       en              51  156
validation f  Alicia   en-us           33  156
validation m  Lee      en-gb-scotland  66  179
validation f  linda    en-gb-x-rp      54  179
validation m  travis   en-029          57  171
validation f  f1       en-gb-x-gbclan  63  171
validation m  norbert  en-us-nyc       45  164
validation f  grandma  en-gb-x-gbcwmd  46  164
test       m  m6       en              51  156
test       f  Annie    en-us           36  156
test       m  Nguyen   en-gb-scotland  41  179
test       f  belinda  en-gb-x-rp      54  179
test       m  Gene     en-029          63  171
test       m  iven4    en-gb-x-gbclan  47  164
test       f  f2       en-us-nyc       57  171
test       m  max      en-gb-x-gbcwmd  65  157
test       f  shelby   en              53  164
"""


class Voice(NamedTuple):
    """One synthetic speaker."""

    speaker: str  # number in the table and sex, such as "02f"
    part: str
    sex: str
    variant: str
    accent: str
    pitch: int  # 50 is the variant's own, and every 50 more are an octave up
    rate: int  # words a minute


def _voice(number: int, row: str) -> Voice:
    part, sex, variant, accent, pitch, rate = row.split()
    return Voice(f"{number:02d}{sex}", part, sex, variant, accent, int(pitch), int(rate))


VOICES = tuple(_voice(number, row) for number, row in enumerate(_TABLE.strip().splitlines(), 1))
