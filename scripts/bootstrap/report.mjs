// What the bootstrap says, on stderr, so that the output of what it runs stays clean.

/** Something that can't be had, with what was tried and what to do by hand. */
export class CannotBring extends Error {
  name = "CannotBring";
}

export function note(text) {
  process.stderr.write(`bootstrap: ${text}\n`);
}

/** What a failed command printed, under the line that names it. */
export function indented(text) {
  return text.trim().replaceAll(/^/gm, "    ");
}
