import { lookup } from "node:dns";
import type { LookupAddress, LookupOptions } from "node:dns";
import { isIP } from "node:net";

import { InvalidError, TerminalError } from "@ergon/core";
import ipaddr from "ipaddr.js";
import { buildConnector } from "undici";

type Range = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** The range of public IPv6 addresses. Many addresses outside of it contain an IPv4 address (mapped, compatible, NAT64). */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR("2000::/3");

/** An address that looks public, but serves settings, and credentials for extensions, inside every machine of Azure. */
const NOT_PUBLIC: ReadonlySet<string> = new Set(["168.63.129.16"]);

/** Which addresses a connection may go to. */
export type AddressGuard = (address: string) => boolean;

/**
 * Allows public unicast addresses, and those of `allowed` ranges (`10.0.0.0/8`, `::1/128`); everything with `all`.
 * Throws `InvalidError` (`INVALID_OPTION`) for a text that is no range.
 */
export function createAddressGuard(allowed: readonly string[] | "all"): AddressGuard {
  if (allowed === "all") return () => true;
  const ranges = allowed.map(parseRange);
  return (text) => {
    if (!ipaddr.isValid(text)) return false;
    const address = ipaddr.parse(text);
    return isPublic(address) || ranges.some((range) => isWithin(address, range));
  };
}

/** Connects only to allowed addresses. The guard checks the result of the same look-up that the connection uses. */
export function createGuardedConnector(guard: AddressGuard): buildConnector.connector {
  const connect = buildConnector({ lookup: createGuardedLookup(guard) });
  return (options, callback) => {
    const host = options.hostname.replace(/^\[|\]$/g, "");
    // An address needs no look-up, so the guard checks it here.
    if (isIP(host) !== 0 && !guard(host)) callback(refusal(host), null);
    else connect(options, callback);
  };
}

type LookupCallback = (error: Error | null, address: string | LookupAddress[], family?: number) => void;

function createGuardedLookup(guard: AddressGuard) {
  return (host: string, options: LookupOptions, callback: LookupCallback): void => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, []);
      const allowed = addresses.filter(({ address }) => guard(address));
      const [first] = allowed;
      if (first === undefined) callback(refusal(host), []);
      else if (options.all === true) callback(null, allowed);
      else callback(null, first.address, first.family);
    });
  };
}

function refusal(host: string): TerminalError {
  return new TerminalError(
    "ADDRESS_REFUSED",
    `${host} is not a public address; allow its range with --http-allow, or with the option allow of the http driver`,
  );
}

function parseRange(text: string): Range {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  throw new InvalidError("INVALID_OPTION", `"${text}" is not a range of addresses, such as 10.0.0.0/8`);
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== "unicast" || NOT_PUBLIC.has(address.toString())) return false;
  return address.kind() === "ipv4" || isWithin(address, GLOBAL_UNICAST);
}

function isWithin(address: ipaddr.IPv4 | ipaddr.IPv6, [network, bits]: Range): boolean {
  return address.kind() === network.kind() && address.match([network, bits] as never);
}
