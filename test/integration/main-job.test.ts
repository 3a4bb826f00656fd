import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

import { test as base, describe, expect } from "vitest";

import { eventually } from "../support/eventually.ts";

const root = path.resolve(import.meta.dirname, "../..");
const script = path.join(root, "scripts/main-job.ts");

/** Nothing is unreadable to root: where this user is root, the job runs as nobody, if nobody may read the checkout. */
const nobody = { uid: 65_534, gid: 65_534 };
const isRoot = process.getuid?.() === 0;
const mayBeNobody = isRoot && spawnSync(process.execPath, ["--check", script], { ...nobody }).status === 0;
const user = mayBeNobody ? nobody : {};
const isRefused = !isRoot || mayBeNobody;

interface Job {
  readonly process: ChildProcess;
  readonly output: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
}

interface Folders {
  /** What the job is about. */
  readonly files: string;
  /** Where the job and what it starts keep what is temporary. */
  readonly temporary: string;
  readonly report: string;
}

/** A line of the report. */
interface Reported {
  readonly name: string;
  readonly sha256?: string;
  readonly lines?: number;
  readonly failure?: { readonly code: string };
  readonly attempts: number;
  readonly lostOn: readonly string[];
  readonly verdict: string;
}

const test = base.extend<{ folders: Folders; start: (...args: string[]) => Job }>({
  folders: async ({}, use) => {
    const folder = mkdtempSync(path.join(tmpdir(), "ergon-main-"));
    const folders = {
      files: path.join(folder, "files"),
      temporary: path.join(folder, "t"),
      report: path.join(folder, "report"),
    };
    for (const each of [folders.files, folders.temporary]) mkdirSync(each);
    for (const each of [folder, folders.temporary]) chmodSync(each, 0o777);
    await use(folders);
    spawnSync("chmod", ["-R", "u+rwx", folder]);
    rmSync(folder, { recursive: true, force: true });
  },
  start: async ({ folders }, use) => {
    const jobs: Job[] = [];
    await use((...args) => {
      const job = startJob(folders, args);
      jobs.push(job);
      return job;
    });
    for (const job of jobs) {
      job.process.kill("SIGKILL");
      await job.ended;
    }
  },
});

function startJob({ temporary }: Folders, args: readonly string[]): Job {
  const flags = ["--conditions=@ergon/source", "--disable-warning=ExperimentalWarning"];
  // A group of its own: whoever is left of it is found by its number.
  const child = spawn(process.execPath, [...flags, script, ...args], {
    ...user,
    cwd: temporary,
    env: { ...process.env, TMPDIR: temporary, INIT_CWD: temporary },
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, output }));
  });
  return { process: child, output: () => output, ended };
}

/** Whether anyone of the job's group of processes lives. */
function isGone({ process: { pid = 0 } }: Job): boolean {
  try {
    return !process.kill(-pid, 0);
  } catch {
    return true;
  }
}

function readReport({ report }: Folders): readonly Reported[] {
  return readFileSync(report, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Reported);
}

describe("the main job", { timeout: 60_000 }, () => {
  test("the main job answers every file once and right, while an agent and a node are killed", async ({
    folders,
    start,
  }) => {
    const contents = writeStrangeFiles(folders.files);
    const unreadable = path.join(folders.files, "unreadable");
    const secret = Buffer.from("secret\n");
    writeFileSync(unreadable, secret);
    chmodSync(unreadable, 0);
    spawnSync("sh", ["-c", 'mkfifo "$0"', path.join(folders.files, "pipe")]);
    symlinkSync("empty", path.join(folders.files, "link"));
    symlinkSync("/nowhere", path.join(folders.files, "broken link"));
    const socket = createServer().listen(path.join(folders.files, "s"));

    const { code, output } = await start("--report", folders.report, folders.files).ended;
    socket.close();

    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining(`${contents.size + 1} right`) });
    expect(output).toMatch(/killed agent-\d \(kill -9 \d+\)[^]*recovered after/);
    expect(output).toMatch(/killed node-\d \(kill -9 \d+\)[^]*recovered after/);
    expect(output).toMatch(/^skipped: .*2 symbolic links/m);
    const report = readReport(folders);
    expect(new Set(report.map(({ verdict }) => verdict))).toEqual(new Set(["right"]));
    const answers = report.map(({ name, sha256, lines, failure }): [string, unknown] => [
      name,
      failure?.code ?? { sha256, lines },
    ]);
    const expected = [...contents].map(([name, content]): [string, unknown] => [name, expectedOf(content)]);
    expected.push([base64("unreadable"), isRefused ? "EACCES" : expectedOf(secret)]);
    expect(report.length).toBe(expected.length);
    expect(new Map(answers)).toEqual(new Map(expected));
    expect(report.some(({ lostOn, attempts }) => lostOn.length > 0 && attempts > 1)).toBe(true);
    expect(readdirSync(folders.temporary)).toEqual([]);
  });

  test("the main job has an agent and a node to kill at work with a single file too", async ({ folders, start }) => {
    writeFileSync(path.join(folders.files, "only"), "one\ntwo");

    const { code, output } = await start("--report", folders.report, folders.files).ended;

    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining("Every file was answered once.") });
    const [only] = readReport(folders);
    expect(only).toMatchObject({ lines: 1, attempts: 2, lostOn: [expect.stringMatching(/^agent-\d$/)] });
  });

  test("the main job has nothing to do for an empty folder", async ({ folders, start }) => {
    expect(await start(folders.files).ended).toEqual({ code: 0, output: expect.stringContaining("nothing to do") });
  });

  test.for(["none", "a-file"])(
    "the main job refuses a path that is no folder: %s",
    async (name, { folders, start }) => {
      writeFileSync(path.join(folders.files, "a-file"), "");

      const { code, output } = await start(path.join(folders.files, name)).ended;

      expect({ code, output }).toEqual({
        code: 2,
        output: expect.stringMatching(/cannot be looked through: (no such file|not a directory)/),
      });
    },
  );

  test("the main job leaves nothing behind when it is interrupted", async ({ folders, start }) => {
    writeMany(folders.files);
    const job = start(folders.files);
    await eventually("the job is at work", () => job.output().includes("will be killed,"), 30_000);

    job.process.kill("SIGINT");

    expect(await job.ended).toEqual({ code: 130, output: expect.stringContaining("stopped before the end") });
    expect([isGone(job), readdirSync(folders.temporary)]).toEqual([true, []]);
  });

  test("the main job leaves nothing behind when it is killed", async ({ folders, start }) => {
    writeMany(folders.files);
    const job = start(folders.files);
    await eventually("the job is at work", () => job.output().includes("will be killed,"), 30_000);

    job.process.kill("SIGKILL");
    await job.ended;

    const isClean = (): boolean => isGone(job) && readdirSync(folders.temporary).length === 0;
    expect(await eventually("its processes and its temporary files are gone", isClean)).toBe(true);
  });
});

function base64(name: string | Buffer): string {
  return Buffer.from(name).toString("base64");
}

function expectedOf(content: Buffer): { sha256: string; lines: number } {
  const lines = content.filter((byte) => byte === 0x0a).length;
  return { sha256: createHash("sha256").update(content).digest("hex"), lines };
}

/** Files with strange names and contents, as far as the file system takes them: by their names, in base64. */
function writeStrangeFiles(folder: string): ReadonlyMap<string, Buffer> {
  const written = new Map<string, Buffer>();
  const write = (name: Buffer, content: Buffer): void => {
    try {
      writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), name]), content);
      written.set(base64(name), content);
    } catch {
      // Not every file system takes every name.
    }
  };
  const binary = Buffer.from(Array.from({ length: 700_001 }, (_, at) => (at * 7_919) % 256));
  write(Buffer.from("empty"), Buffer.alloc(0));
  write(Buffer.from("binary"), binary);
  write(Buffer.from("one line, no end"), Buffer.from("end"));
  write(Buffer.from("windows"), Buffer.from("a\r\nb\r\n"));
  write(Buffer.from("n".repeat(255)), Buffer.from("long name\n"));
  write(Buffer.from([0x66, 0xff, 0xfe, 0x80]), Buffer.from("not UTF-8\n"));
  write(Buffer.from("two\nlines"), Buffer.from("\n\n\n"));
  write(Buffer.from("\u001b[31mred \u202e"), Buffer.from("escape"));
  write(Buffer.from("-rf"), Buffer.from("dash\n"));
  write(Buffer.from(" é 日本 🙂 "), Buffer.from("unicode\n"));
  write(Buffer.from("'\"`$(x)\\"), Buffer.from("quotes\n"));
  const deep = Array.from({ length: 12 }, (_, at) => `${at}`.repeat(120)).join("/");
  mkdirSync(path.join(folder, deep), { recursive: true });
  write(Buffer.from(`${deep}/deep`), Buffer.from("deep\n"));
  mkdirSync(path.join(folder, "node_modules/.git"), { recursive: true });
  write(Buffer.from("node_modules/.git/kept"), Buffer.from("a folder that was asked for is looked through whole\n"));
  return written;
}

function writeMany(folder: string): void {
  for (let file = 0; file < 5_000; file++) writeFileSync(path.join(folder, `${file}`), `${file}\n`);
}
