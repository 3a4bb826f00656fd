// nats-server from the release archives of its project, for Linux: their digests are the ones that the project's own
// container images check, and an archive with another digest is never unpacked.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";

// The newest whose digests those images tell: Debian's package, which is tried first, is newer.
const version = "2.14.5";
const digests = {
  "linux-arm64": "673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c",
  "linux-x64": "5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355",
};

export async function unpackReleaseArchive(scratch) {
  const platform = `${process.platform}-${process.arch}`;
  const digest = digests[platform];
  if (digest === undefined) throw new Error(`no digest is known here for ${platform}, so none is fetched`);

  const name = `nats-server-v${version}-${platform.replace("x64", "amd64")}`;
  const url = `https://github.com/nats-io/nats-server/releases/download/v${version}/${name}.tar.gz`;
  const archive = path.join(scratch, `${name}.tar.gz`);
  const content = await download(url);
  const found = createHash("sha256").update(content).digest("hex");
  if (found !== digest) throw new Error(`${url} has SHA-256 ${found}, not ${digest}`);

  writeFileSync(archive, content);
  const unpacked = spawnSync("tar", ["-xzf", archive, "-C", scratch], { encoding: "utf8" });
  if (unpacked.status !== 0) throw new Error(`tar failed: ${(unpacked.error?.message ?? unpacked.stderr).trim()}`);
  return path.join(scratch, name, "nats-server");
}

async function download(url) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(120_000) });
    if (!response.ok) throw new Error(`answered ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  } catch (error) {
    throw new Error(`${url}: ${error.cause?.message ?? error.message}`, { cause: error });
  }
}
