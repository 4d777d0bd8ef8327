/**
 * `npm run test:siege`: three minutes, or `--seconds N`, and then the pools: ten attackers with
 * 10,000 payments each, or `--payments N`, of all together 4,000 a second, or `--rate N`. Ends with 1
 * where a promise was broken.
 */
import { parseArgs } from 'node:util';
import { besiegePools } from './pool.ts';
import { besiege } from './siege.ts';
import { brokenBy, brokenPools } from './verdict.ts';

const poolAttackers = 10;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '180' },
    payments: { type: 'string', default: '10000' },
    rate: { type: 'string', default: '4000' },
  },
});
const report = await besiege(Number(values.seconds), (line) => process.stdout.write(`${line}\n`));
const { attackers, ...rest } = report;
process.stdout.write(`${JSON.stringify(rest, null, 1)}\n`);
for (const [what, times] of Object.entries(attackers).sort()) {
  process.stdout.write(`${what.padEnd(32)}${times}\n`);
}
const { payments, rate } = values;
const pools = await besiegePools(poolAttackers, Number(payments), Number(rate));
process.stdout.write(`pools: ${JSON.stringify(pools, null, 1)}\n`);
const broken = [...brokenBy(report), ...brokenPools(pools)];
for (const promise of broken) process.stdout.write(`BROKEN: ${promise}\n`);
process.exit(broken.length === 0 ? 0 : 1);
