r"""A country that does not exist, whose truth is known.

Its outcome, syeff, is a structural equation (`outcome`): a pilot adopted by cities that differ from the others (`cities`)
shifts it directly, more in some groups and more with time (`policy`), and through patents, the structure of industry and
co-agglomeration (`mediators`); pilots touch their neighbours (`geography`); six controls move along (`controls`). The outcome
is no column. The columns are raw inputs and outputs from which the pipeline's own Super-SBM (global reference, constant
returns, no orientation, bad outputs scored with the good one) and coupling coordination make it (`technology`), and the
columns of yearbooks from which the accounts make those inputs and outputs (`yearbook`). So the whole road is tested against
the truth (`truth`). Under another technology the measured syeff is another variable, and the truth is not its truth.

What is not realistic: labour and energy move by some fifteen per cent a year with the error of syeff, which capital does not;
preff and creff move together; three never treated city-years have an outcome that is set (1, nearly 1, and 0) instead of
drawn; unless it is drawn with confounding, adoption does not answer to shocks, so trends are parallel given the controls.
"""

from syneff.panel.synthetic.country import Country as Country
from syneff.panel.synthetic.country import Options as Options
from syneff.panel.synthetic.country import draw_country as draw_country
from syneff.panel.synthetic.source import synthetic as synthetic
from syneff.panel.synthetic.variables import VARIABLES as VARIABLES
