/** The characters that a terminal executes as commands, or that change the direction of writing, except line ends and tabs. */
// oxlint-disable-next-line no-control-regex
const COMMANDS = /\r(?!\n)|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
/** The subset of these characters that JSON does not escape. */
const COMMANDS_IN_JSON = /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Escapes text that others wrote, so that a terminal shows the characters that it would execute, such as `\u001b`. */
export function visible(text: string): string {
  return text.replace(COMMANDS, escaped);
}

/** Escapes JSON text in the same way, without a change of its meaning. */
export function visibleJson(text: string): string {
  return text.replace(COMMANDS_IN_JSON, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
