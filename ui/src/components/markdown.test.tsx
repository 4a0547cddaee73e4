import { renderToStaticMarkup } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { Markdown } from "./markdown";

const shown = (text: string) => renderToStaticMarkup(<Markdown text={text} />).replace(/ class="[^"]*"/g, "");

describe("Markdown", () => {
  it("shows emphasis, code and lists", () => {
    expect(shown("# Order **12**\nsent by *dhl*, `B-14`\n- one\n- two")).toBe("<div><p>Order <strong>12</strong></p><p>sent by <em>dhl</em>, <code>B-14</code></p><ul><li>one</li><li>two</li></ul></div>");
  });

  it("links to the web only", () => {
    expect(shown("[a](https://e.org/x) [b](javascript:alert(1))")).toBe('<div><p><a href="https://e.org/x" target="_blank" rel="noreferrer noopener">a</a> [b](javascript:alert(1))</p></div>');
  });

  it("leaves HTML and names with underscores as they are", () => {
    expect(shown("<img src=x onerror=alert(1)> my_file_name.txt 2 * 3 * 4")).toBe("<div><p>&lt;img src=x onerror=alert(1)&gt; my_file_name.txt 2 * 3 * 4</p></div>");
  });
});
