/** Longer names are not compared: whoever sends them has not misspelt one. */
const LONGEST = 64;

/** The known name that a misspelt one is nearest to: at most a third of its letters are wrong, missing, too many or swapped. */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length > LONGEST) return undefined;
  let nearest: string | undefined;
  let least = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    if (Math.abs(name.length - candidate.length) >= least) continue;
    const edits = editsBetween(name.toLowerCase(), candidate.toLowerCase());
    if (edits >= least) continue;
    nearest = candidate;
    least = edits;
  }
  return nearest;
}

/** Letters changed, added, left out, or swapped with their neighbour. */
function editsBetween(one: string, other: string): number {
  let before: number[] = [];
  let row = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let line = 1; line <= one.length; line += 1) {
    const next = [line];
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[line - 1] === other[column - 1] ? 0 : 1;
      const at = (cells: readonly number[], index: number): number => cells[index] ?? Infinity;
      let edits = Math.min(at(row, column) + 1, at(next, column - 1) + 1, at(row, column - 1) + same);
      if (one[line - 1] === other[column - 2] && one[line - 2] === other[column - 1])
        edits = Math.min(edits, at(before, column - 2) + 1);
      next.push(edits);
    }
    [before, row] = [row, next];
  }
  return row[other.length] ?? Infinity;
}
