import type { TaskView } from "@ergon/core";
import { createOutput, printTask } from "@ergon/node/testing";
import { describe, expect, test } from "vitest";

/** Clears the screen, sets the title, and the same as one character of Latin-1; then writes backwards. */
const hostile = "a\u001b[2J\u001b]0;title\u0007\u009b2J\u202eb\rc";
const shown = "a\\u001b[2J\\u001b]0;title\\u0007\\u009b2J\\u202eb\\u000dc";

function outputTo({ isTTY, json = false }: { isTTY: boolean; json?: boolean }) {
  const written: string[] = [];
  const stream = { isTTY, write: (data: string | Uint8Array) => written.push(Buffer.from(data).toString()) > 0 };
  const io = { stdout: stream, stderr: stream, env: { NO_COLOR: "1" } };
  return { written, output: createOutput(io as never, json) };
}

const view: TaskView = {
  ...{ id: "t", machine: "task", status: "failed", driver: "d", payloadBytes: 0, scheduledAt: "2026-01-01T00:00:00Z" },
  ...{ attempt: 1, failures: 1, lost: 0, agent: hostile, reason: hostile, tags: [hostile] },
  ...{ failure: { code: hostile, message: hostile, retryable: false }, response: { text: hostile } },
  history: [{ at: "2026-01-01T00:00:00Z", status: "failed", attempt: 1, agent: hostile, reason: hostile }],
};

describe("what others wrote", () => {
  test.for([true, false])("is shown and not obeyed, a task with all that it says (terminal: %s)", (isTTY) => {
    const { written, output } = outputTo({ isTTY });

    printTask(output, view);
    output.table(["reason"], [[{ text: hostile, paint: "red" }]]);
    output.note(hostile);

    const text = written.join("");
    // oxlint-disable-next-line no-control-regex
    expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(text.split(shown)).toHaveLength(11);
  });

  test("is the same value in JSON, and nothing that a terminal obeys", () => {
    const { written, output } = outputTo({ isTTY: true, json: true });

    printTask(output, view);

    // oxlint-disable-next-line no-control-regex
    expect(written.join("")).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(JSON.parse(written.join(""))).toEqual(view);
  });

  test("is the exact bytes of a response, but on a terminal its text", () => {
    const bytes = Buffer.from("line\r\n\u001b[2J");
    const [file, terminal] = [outputTo({ isTTY: false }), outputTo({ isTTY: true })];

    file.output.bytes(bytes);
    terminal.output.bytes(bytes);

    expect(file.written).toEqual(["line\r\n\u001b[2J"]);
    expect(terminal.written[0]).toBe("line\r\n\\u001b[2J");
  });
});
