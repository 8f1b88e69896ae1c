"""Summaries of chains: one number beside the curves."""

import pandas as pd

CHAIN = ["loop", "model", "bias", "seed", "n_evaluate", "features"]


def halving_generation(records: pd.DataFrame) -> pd.DataFrame:
    """Return for every chain the first generation with at most half the recall of generation 1.

    - `records`: one row a generation, as `Chain.records()` gives them; chains are told apart by
      loop, model, bias, seed, n_evaluate and features.

    Returns one row a chain with these columns and `halved`, float64, NaN where recall never
    halved in the generations that there are. Generations count from 1, so recall halves after
    `halved - 1` steps on synthetic data.

    Raises ValueError where a chain lacks generation 1, or has a generation twice: two chains of
    other sizes must be asked about one at a time.
    """
    rows = []
    for key, chain in records.groupby(CHAIN, sort=False):
        name = ", ".join(f"{column} {value}" for column, value in zip(CHAIN, key, strict=True))
        recall = chain.set_index("generation")["recall"].sort_index()
        if not recall.index.is_unique:
            twice = recall.index[recall.index.duplicated()][0]
            raise ValueError(
                f"generation {twice} of the chain ({name}) is there more than once; give the "
                "records of one setting at a time"
            )
        if 1 not in recall.index:
            raise ValueError(
                f"generation 1 of the chain ({name}) is missing; halving is counted from it"
            )
        low = recall.index[recall <= recall[1] / 2]
        rows.append([*key, float(low[0]) if len(low) else float("nan")])
    return pd.DataFrame(rows, columns=[*CHAIN, "halved"])
