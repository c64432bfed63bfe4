from .config import SAMPLE_RATE as SAMPLE_RATE
from .config import ModelConfig as ModelConfig
from .config import STFTConfig as STFTConfig
from .config import TrainingConfig as TrainingConfig
from .config import get_preset as get_preset
from .model.files import load_model as load_model
from .model.files import save_model as save_model
from .model.models import SDMVAE as SDMVAE
from .model.models import VAE as VAE
from .model.models import VSC as VSC
from .model.models import build_model as build_model
from .model.pretrained import load_pretrained as load_pretrained
from .model.pretrained import pretrained_names as pretrained_names
from .scoring.evaluation import evaluate as evaluate
from .scoring.evaluation import mean_scores as mean_scores
from .scoring.metrics import hoyer as hoyer
from .scoring.resynthesis import code_to_waveform as code_to_waveform
from .scoring.resynthesis import keep_largest as keep_largest
from .scoring.resynthesis import resynthesise as resynthesise
from .speech.corpora import load_corpus as load_corpus
from .speech.frames import load_frames as load_frames
from .table.grid import run_grid as run_grid
from .table.records import read_records as read_records
from .table.runs import Run as Run
from .table.runs import table_1 as table_1
from .training.fit import fit as fit

__version__: str
