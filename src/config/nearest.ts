// The known name that a mistyped one most resembles.

/** The first of `known` with the fewest edits to `name`. @throws RangeError when `known` is empty. */
export function nearest(name: string, known: readonly string[]): string {
  const distances = known.map((candidate) => editDistance(name, candidate));
  const best = known[distances.indexOf(Math.min(...distances))];
  if (best === undefined) throw new RangeError("nothing is known");
  return best;
}

/** Insertions, deletions and substitutions that turn `a` into `b` (Levenshtein, 1966). */
export function editDistance(a: string, b: string): number {
  // row[j] is the distance from the part of `a` read so far to the first j characters of `b`.
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
