// A line of JSON that shows when it was damaged, as a wrong digit could pass for another number: its checksum stands
// behind it. CRC-64, as it is to notice chance and nobody's intent: node:crypto takes six to ten milliseconds to load.

import { Crc64 } from "./crc64.ts";

/** The line, and one with its checksum. */
export function seal(json: string): string {
  return `${json}\n${checksumOf(json)}\n`;
}

/** The JSON that was sealed; undefined where a byte is not as it was. */
export function unseal(text: string): string | undefined {
  const [json = ""] = text.split("\n", 1);
  return text === seal(json) ? json : undefined;
}

/** The CRC-64 of bytes or of a text's UTF-8, as 16 lower case hex digits. */
export function checksumOf(content: string | Uint8Array): string {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  return new Crc64().update(bytes).digest().toString(16).padStart(16, "0");
}
