/** What cannot be shown as it is: control, format and separator characters, halves of surrogate pairs. */
const UNSHOWN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const ESCAPED_SPACE = String.raw`\x20`;
const SLASH = Buffer.from("/");
/** What a task's resource may be long. */
const RESOURCE_LENGTH = 2_048;

/** A path below `folder`. File names are bytes: they need not be UTF-8, nor fit on a line. */
export function join(folder: Buffer, name: Buffer): Buffer {
  return folder.length === 0 ? name : Buffer.concat([folder, SLASH, name]);
}

/** A name as text on one line: bytes that are not UTF-8 and characters that do not show are written `\xNN`. */
export function showName(name: Buffer): string {
  const text = name.toString();
  if (Buffer.from(text).equals(name)) return text.replace(UNSHOWN, escape);
  return name.toString("latin1").replace(/[^ -~]/g, escape);
}

/** A name for a table: no longer than `width`; the end tells files apart, so the middle goes. */
export function shortName(name: Buffer, width: number): string {
  const text = showName(name);
  if (text.length <= width) return text;
  const head = Math.floor((width - 1) / 3);
  return `${text.slice(0, head)}…${text.slice(head + 1 - width)}`;
}

/** A name as a task's resource, which may not begin or end with a space: for people; the payload has the bytes. */
export function resourceOf(name: Buffer): string {
  return shortName(name, RESOURCE_LENGTH - 2 * ESCAPED_SPACE.length).replace(/^ | $/g, ESCAPED_SPACE);
}

function escape(text: string): string {
  return [...Buffer.from(text, text.length === 1 && text <= "\xff" ? "latin1" : "utf8")]
    .map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`)
    .join("");
}
