"""``exported:FOLDER``: the data of a split that ``data export`` or ``data import`` wrote, in whichever form.

The arrays, their mean and deviation, the classes and the natural groups are those of the source; where the scenario
shifted anything, they are as the clients saw them. Who held what lies in the same folder; ``data import`` makes a suite
file that names both.
"""

from pathlib import Path

from pfl_bench.api import ArrayDataset, DataRequest, RequestError, read_split, register_dataset


@register_dataset("exported", source="a folder of 'data export'", summary="exported:FOLDER, a split that was exported")
def load(request: DataRequest) -> ArrayDataset:
    """Read the folder; refused if its samples are not those that were exported."""
    if not request.argument:
        raise RequestError("data set 'exported' needs a folder: exported:FOLDER")
    return read_split(Path(request.argument)).dataset
