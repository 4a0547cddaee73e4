import { readFileSync } from "node:fs";
import openapiTS, { astToString, COMMENT_HEADER } from "openapi-typescript";
import { expect, test } from "vitest";

test("the generated types fit openapi.json", async () => {
  const document = new URL("../../openapi.json", import.meta.url);
  const types = COMMENT_HEADER + astToString(await openapiTS(document));
  expect(readFileSync(new URL("schema.ts", import.meta.url), "utf8"), "run `npm run types`").toBe(types);
});
