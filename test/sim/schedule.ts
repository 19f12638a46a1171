// Which schedules there are: all placements of one or two things that happen, at the places that a scenario comes by.
// A schedule has a text, by which it can be run again.

/** What may happen between two steps. */
export const INTERJECTIONS = [
  "commit",
  "spill",
  "spill and roll back",
  "checkpoint",
  "truncate",
  "begin to read",
  "end reading",
  "vacuum",
  "reopen",
  "death",
  "failing write",
  "failing sync",
  "full volume",
] as const;

export type Interjection = (typeof INTERJECTIONS)[number];

/** The n-th time, counted from 1, that a label comes by. */
export type Place = { readonly label: string; readonly time: number };

export type Placement = { readonly place: Place; readonly what: Interjection };

/** In the order in which they happen. */
export type Schedule = readonly Placement[];

/** The places that labels come by at, in turn. */
export function toPlaces(labels: readonly string[]): readonly Place[] {
  const times = new Map<string, number>();
  return labels.map((label) => {
    const time = (times.get(label) ?? 0) + 1;
    times.set(label, time);
    return { label, time };
  });
}

/** All schedules of just so many things, but for those of which one can't do anything. */
export function* schedules(
  places: readonly Place[],
  { actions, of }: { readonly actions: number; readonly of: readonly Interjection[] },
): Generator<Schedule, void, undefined> {
  if (actions === 0) {
    yield [];
    return;
  }
  for (const [at, place] of places.entries()) {
    for (const what of of) {
      // What comes later comes at the same place or at a later one.
      for (const rest of schedules(places.slice(at), { actions: actions - 1, of })) {
        const schedule = [{ place, what }, ...rest];
        if (canHappen(schedule)) yield schedule;
      }
    }
  }
}

/** False where an end of reading meets no reader that is sure to be there, or one begins to read that does so already. */
function canHappen(schedule: Schedule): boolean {
  const reading = schedule.filter(({ what }) => what === "begin to read" || what === "end reading");
  return reading[0] === undefined || reading.every((_, i) => i === 0 || reading[i]?.what !== reading[i - 1]?.what);
}

export function formatSchedule(schedule: Schedule): string {
  return schedule.map(({ place, what }) => `${place.label} ${place.time}: ${what}`).join(", ");
}

export function parseSchedule(text: string): Schedule {
  if (text === "") return [];
  return text.split(", ").map((part) => {
    const [, label, time, name] = /^(.*) (\d+): (.*)$/.exec(part) ?? [];
    const what = INTERJECTIONS.find((known) => known === name);
    if (label === undefined || what === undefined) throw new Error(`"${part}" is no placement`);
    return { place: { label, time: Number(time) }, what };
  });
}
