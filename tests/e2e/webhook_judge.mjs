// Checks webhooks as their receiver would, with node's crypto and nothing of ours.
//   node webhook_judge.mjs SECRET < JSON of [{headers, body, at}]
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const key = Buffer.from(process.argv[2].replace(/^whsec_/, ""), "base64");
const hooks = JSON.parse(readFileSync(0, "utf8"));
let wrong = 0;
for (const { headers, body, at } of hooks) {
  const id = headers["webhook-id"];
  const time = headers["webhook-timestamp"];
  const right = createHmac("sha256", key).update(`${id}.${time}.${body}`).digest();
  const said = headers["webhook-signature"].split(" ").map((one) => one.split(","));
  const fits = said.some(([version, text]) => {
    const bytes = Buffer.from(text, "base64");
    return version === "v1" && bytes.length === right.length && timingSafeEqual(bytes, right);
  });
  if (!fits || Math.abs(at - Number(time)) > 300 || JSON.parse(body).id !== id) {
    console.error(`not right: ${id}`, headers);
    wrong++;
  }
}
process.exit(wrong ? 1 : 0);
