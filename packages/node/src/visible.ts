/** Characters that a terminal takes for a command or for another direction of writing, except line ends and tabs. */
// oxlint-disable-next-line no-control-regex
const COMMANDS = /\r(?!\n)|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
/** The characters among these that JSON does not escape. */
const COMMANDS_IN_JSON = /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Text that others wrote, for a terminal: what would be obeyed there is shown, as `\u001b`. */
export function visible(text: string): string {
  return text.replace(COMMANDS, escaped);
}

/** The same of a JSON text, which means what it meant. */
export function visibleJson(text: string): string {
  return text.replace(COMMANDS_IN_JSON, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
