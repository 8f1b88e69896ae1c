"""Records of chains that are made up: scores that change by a factor a generation."""


def chain(row, scores, generations, seeds=3, spread=0.001, **parts):
    """Rows of chains, one a seed, in which `recall=0.5` halves the recall every generation.

    - `row`: makes the record of a generation. `scores`: the names that are given factors.
    - `spread`: by how much of itself each further seed changes more.
    """
    start = row(1)
    factors = {name: parts.pop(name) for name in scores if name in parts}

    def scored(t, seed):
        far = 1 + spread * seed * (t - 1)
        return {name: start[name] * factor ** (t - 1) * far for name, factor in factors.items()}

    times = range(1, generations + 1)
    return [row(t, seed=seed, **scored(t, seed), **parts) for seed in range(seeds) for t in times]
