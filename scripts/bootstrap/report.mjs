// What the bootstrap says, on stderr, so that the output of what it runs stays clean.

/** Something that can't be had, with what was tried and what to do by hand. */
export class CannotBring extends Error {
  name = "CannotBring";
}

export function note(text) {
  process.stderr.write(`bootstrap: ${text}\n`);
}

/** The end of what a failed command printed, indented under the line that names it. */
export function tail(text, lines = 12) {
  return text
    .trim()
    .split("\n")
    .slice(-lines)
    .map((line) => `    ${line}`)
    .join("\n");
}
