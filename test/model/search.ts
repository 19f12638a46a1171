// Breadth-first search through all states that can be reached: what it finds first, it finds on a shortest path.

export type Step<S> = {
  /** Unique among the steps out of a state. */
  readonly name: string;
  readonly to: S;
};

export type Model<S> = {
  readonly starts: readonly Step<S>[];
  steps(state: S): readonly Step<S>[];
  /** Equal for states that need not be told apart. */
  keyOf(state: S): string;
  /** What is wrong with the state. */
  wrong(state: S): string | undefined;
};

export type Result<S> = {
  readonly states: number;
  /** Steps to the states that are the furthest away. */
  readonly depth: number;
  /** The path begins with the state that it starts from. */
  readonly violation: { readonly reason: string; readonly path: readonly Step<S>[] } | undefined;
};

/** Looks at all states that are up to `depth` steps away, or up to the first that is wrong. */
export function search<S>(model: Model<S>, { depth: most }: { readonly depth: number }): Result<S> {
  const seen = new Set<string>();
  /** Of each state, in the order in which they were found: where it comes from, and by which step. */
  const parents: number[] = [];
  const names: string[] = [];
  let frontier: S[] = [];

  /** Gives why the state is wrong, where it is new and is. */
  function add({ name, to }: Step<S>, parent: number): string | undefined {
    const key = model.keyOf(to);
    if (seen.has(key)) return undefined;
    seen.add(key);
    parents.push(parent);
    names.push(name);
    frontier.push(to);
    return model.wrong(to);
  }

  for (const start of model.starts) add(start, -1);
  let first = 0;
  for (let depth = 0; depth < most && frontier.length > 0; depth += 1) {
    const states = frontier;
    frontier = [];
    for (const [index, state] of states.entries()) {
      for (const step of model.steps(state)) {
        const reason = step.to === state ? undefined : add(step, first + index);
        if (reason === undefined) continue;
        const path = replay(model, namesUpTo(parents.length - 1, { parents, names }));
        return { states: seen.size, depth: depth + 1, violation: { reason, path } };
      }
    }
    first += states.length;
  }
  return { states: seen.size, depth: most, violation: undefined };
}

function namesUpTo(
  last: number,
  { parents, names }: { readonly parents: readonly number[]; readonly names: readonly string[] },
): readonly string[] {
  const path: string[] = [];
  for (let index = last; index >= 0; index = parents[index] ?? -1) path.unshift(names[index] ?? "");
  return path;
}

function replay<S>({ starts, steps }: Model<S>, names: readonly string[]): readonly Step<S>[] {
  let candidates = starts;
  return names.map((name) => {
    const step = candidates.find((candidate) => candidate.name === name);
    if (step === undefined) throw new Error(`no step "${name}" leads on`);
    candidates = steps(step.to);
    return step;
  });
}
