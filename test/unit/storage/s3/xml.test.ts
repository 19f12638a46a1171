import { describe, expect, it } from "vitest";
import { child, childText, escapeXml, parseXml } from "../../../../src/storage/s3/xml.ts";

const parse = (text: string) => parseXml(new TextEncoder().encode(text));

describe("parseXml", () => {
  it("reads elements and their texts, with XML's own five entities", () => {
    const root = parse('\n <?xml version="1.0"?><A xmlns="x"><B>1 &amp; &#x32;<![CDATA[<3>]]></B><C/></A>');
    expect([root.name, childText(root, "B"), child(root, "C")?.text, child(root, "D")]).toEqual([
      "A",
      "1 & 2<3>",
      "",
      undefined,
    ]);
  });

  it.each([
    ["nothing", ""],
    ["no XML", "hello"],
    ["half of it", "<A><B>"],
    ["two documents", "<A/><A/>"],
    ["a document type", "<!DOCTYPE A><A/>"],
    ["an entity of its own", '<!DOCTYPE A [<!ENTITY e "x">]><A>&e;</A>'],
    ["an external entity", '<!DOCTYPE A [<!ENTITY e SYSTEM "file:///etc/passwd">]><A>&e;</A>'],
    ["an unknown entity", "<A>&e;</A>"],
    ["too many levels", "<a>".repeat(9) + "</a>".repeat(9)],
    ["too many elements", `<a>${"<b/>".repeat(50_000)}</a>`],
  ])("refuses %s", (_, text) => {
    expect(() => parse(text)).toThrow();
  });

  it("refuses what is not UTF-8", () => {
    expect(() => parseXml(new Uint8Array([0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e]))).toThrow();
  });

  it("reads what escapeXml wrote", () => {
    const text = "<&>\"' ü \r\n\t😀";
    expect(parse(`<a>${escapeXml(text)}</a>`).text).toBe(text);
  });
});
