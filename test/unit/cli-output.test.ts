import type { MachineView, StepView, TaskView } from "@ergon/core";
import { createOutput, newsOfSteps, printTask } from "@ergon/node/testing";
import { describe, expect, test } from "vitest";

/** Clears the screen, sets the title, and the same as one character of Latin-1; then writes backwards. */
const hostile = "a\u001b[2J\u001b]0;title\u0007\u009b2J\u202eb\rc";
const shown = "a\\u001b[2J\\u001b]0;title\\u0007\\u009b2J\\u202eb\\u000dc";

function outputTo({ isTTY, json = false, columns }: { isTTY: boolean; json?: boolean; columns?: number }) {
  const written: string[] = [];
  const stream = {
    isTTY,
    columns,
    write: (data: string | Uint8Array) => written.push(Buffer.from(data).toString()) > 0,
  };
  const io = { stdout: stream, stderr: stream, env: { NO_COLOR: "1" } };
  return { written, output: createOutput(io as never, json) };
}

const view: TaskView = {
  ...{ id: "t", machine: "task", status: "failed", driver: "d", payloadBytes: 0, scheduledAt: "2026-01-01T00:00:00Z" },
  ...{ attempt: 1, failures: 1, lost: 0, agent: hostile, reason: hostile, tags: [hostile] },
  ...{ failure: { code: hostile, message: hostile, retryable: false }, response: { text: hostile } },
  history: [{ at: "2026-01-01T00:00:00Z", status: "failed", attempt: 1, agent: hostile, reason: hostile }],
};

describe("foreign text", () => {
  test.for([true, false])(
    "a terminal shows foreign control characters and does not obey them, in all texts of a task (terminal: %s)",
    (isTTY) => {
      const { written, output } = outputTo({ isTTY });

      printTask(output, view);
      output.table(["reason"], [[{ text: hostile, paint: "red" }]]);
      output.note(hostile);

      const text = written.join("");
      // oxlint-disable-next-line no-control-regex
      expect(text).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/);
      expect(text.split(shown)).toHaveLength(11);
    },
  );

  test("foreign texts keep their value in JSON, without characters that a terminal obeys", () => {
    const { written, output } = outputTo({ isTTY: true, json: true });

    printTask(output, view);

    // oxlint-disable-next-line no-control-regex
    expect(written.join("")).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
    expect(JSON.parse(written.join(""))).toEqual(view);
  });

  test("a response keeps its exact bytes in the output, and is shown as text on a terminal", () => {
    const bytes = Buffer.from("line\r\n\u001b[2J");
    const [file, terminal] = [outputTo({ isTTY: false }), outputTo({ isTTY: true })];

    file.output.bytes(bytes);
    terminal.output.bytes(bytes);

    expect(file.written).toEqual(["line\r\n\u001b[2J"]);
    expect(terminal.written[0]).toBe("line\r\n\\u001b[2J");
  });
});

describe("a terminal of 80 columns", () => {
  const sentence =
    "every two minutes: a crash of nats-server loses nothing, but a loss of power may take back acknowledged tasks";
  const rowsOf = (...rows: readonly (readonly string[])[]) => rows.map((row) => row.map((text) => ({ text })));

  test("a terminal of 80 columns gets tables whose long cells are broken between words", () => {
    const { written, output } = outputTo({ isTTY: true, columns: 80 });

    output.table(["", "what", "finding"], rowsOf(["good", "server", "near"], ["note", "sync", sentence]));

    expect(written.join("")).toBe(
      `${[
        "      what    finding",
        "good  server  near",
        "note  sync    every two minutes: a crash of nats-server loses nothing, but a",
        "              loss of power may take back acknowledged tasks",
      ].join("\n")}\n`,
    );
  });

  test("a terminal of 80 columns gets a block for each row of a table that does not fit otherwise", () => {
    const { written, output } = outputTo({ isTTY: true, columns: 30 });

    output.table(
      ["id", "host", "live", "machines"],
      rowsOf(["node-12345678", "example.org", "", "a@1, b@1, c@1, d@1, e@1"], ["n2", "h", "7", ""]),
    );

    expect(written.join("")).toBe(
      `${[
        "id        node-12345678",
        "host      example.org",
        "machines  a@1, b@1, c@1, d@1,",
        "          e@1",
        "",
        "id        n2",
        "host      h",
        "live      7",
      ].join("\n")}\n`,
    );
  });

  test("a terminal of 80 columns gets notes that are broken between words, below the text that they continue with", () => {
    const { written, output } = outputTo({ isTTY: true, columns: 50 });

    output.note(
      `ergon dev runs NATS on this machine, and a node and an agent\n  store     /tmp/ergon-dev-x (temporary, gone at the end)\n  stop      Ctrl-C`,
    );

    expect(written.join("")).toBe(
      `${[
        "ergon dev runs NATS on this machine, and a node",
        "  and an agent",
        "  store     /tmp/ergon-dev-x (temporary, gone at",
        "            the end)",
        "  stop      Ctrl-C",
      ].join("\n")}\n`,
    );
  });

  test("an output that is not a terminal has no broken lines", () => {
    const { written, output } = outputTo({ isTTY: false, columns: 40 });

    output.table(["what", "finding"], rowsOf(["sync", sentence]));
    output.note(sentence);

    expect(written.join("")).toBe(`sync\t${sentence}\n${sentence}\n`);
  });
});

test("the news of a plan tells each cause before its effects, in whichever order the steps are written", () => {
  const viewOf = (statuses: Record<string, StepView["status"]>): MachineView => {
    const steps = Object.entries(statuses).map(([id, status]): StepView => ({ id, status }));
    return { steps } as unknown as MachineView;
  };
  const news = newsOfSteps();

  expect(news(viewOf({ late: "waiting", after: "running", first: "succeeded" }))).toEqual([
    "first: succeeded",
    "after: running",
  ]);
  expect(news(viewOf({ late: "skipped", after: "failed", first: "compensating" }))).toEqual([
    "after: failed",
    "late: skipped",
    "first: compensating",
  ]);
});
