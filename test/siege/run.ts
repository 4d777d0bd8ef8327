/** `npm run test:siege`: three minutes, or `--seconds N`. Ends with 1 where a promise was broken. */
import { parseArgs } from 'node:util';
import { besiege } from './siege.ts';
import { brokenBy } from './verdict.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '180' } } });
const report = await besiege(Number(values.seconds), (line) => process.stdout.write(`${line}\n`));
const { attackers, ...rest } = report;
process.stdout.write(`${JSON.stringify(rest, null, 1)}\n`);
for (const [what, times] of Object.entries(attackers).sort()) {
  process.stdout.write(`${what.padEnd(32)}${times}\n`);
}
const broken = brokenBy(report);
for (const promise of broken) process.stdout.write(`BROKEN: ${promise}\n`);
process.exit(broken.length === 0 ? 0 : 1);
