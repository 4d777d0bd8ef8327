import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { contracts } from '#src/ledger/payments/contracts.ts';
import { tokenAbi } from '#src/ledger/payments/tokens/tokenAbi.ts';
import { formatAddress } from '#src/types/address.ts';
import { VERSION } from '../../bin/version.ts';

const root = join(import.meta.dirname, '..', '..');
const modules = join(root, 'node_modules');
const run = promisify(execFile);

/** A shop of somebody else's: what TypeScript accepts and refuses here is part of the test. */
const SHOP = `
import { Interface } from 'ethers';
import { addresses, paymentOrdersAbi, paymentTokenAbi } from 'mpbp/abi';
import { decodeErrorResult, encodeErrorResult, encodeFunctionData, zeroHash } from 'viem';

const data = encodeFunctionData({ abi: paymentOrdersAbi, functionName: 'pay', args: [zeroHash] });
const late = [zeroHash, 1n] as const;
const coded = encodeErrorResult({ abi: paymentOrdersAbi, errorName: 'TooLate', args: late });
const error = decodeErrorResult({ abi: paymentOrdersAbi, data: coded });
if (error.errorName !== 'TooLate') throw new Error(error.errorName);
const deadline: bigint = error.args[1];
const to: '0x4D50420000000000000000000000000000000022' = addresses.paymentOrders;

const wrong = () => {
  // @ts-expect-error: there is no such function
  encodeFunctionData({ abi: paymentOrdersAbi, functionName: 'payTwice', args: [zeroHash] });
  // @ts-expect-error: an order's id is text
  encodeFunctionData({ abi: paymentOrdersAbi, functionName: 'pay', args: [1n] });
  // @ts-expect-error: an order is no part of a token
  encodeFunctionData({ abi: paymentTokenAbi, functionName: 'pay', args: [zeroHash] });
};
const same = new Interface(paymentOrdersAbi).encodeFunctionData('pay', [zeroHash]);
if (same !== data || typeof wrong !== 'function') throw new Error(same);
console.log(JSON.stringify({ data, to, deadline: String(deadline) }));
`;
const PRINT = `import * as all from 'mpbp/abi'; console.log(JSON.stringify(all));`;

it('gives who installs the package the interfaces, for viem and ethers, with types', async () => {
  const shop = mkdtempSync(join(tmpdir(), 'mpbp-shop-'));
  try {
    await install(shop);
    writeFileSync(join(shop, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(shop, 'shop.ts'), SHOP);
    const compilerOptions = {
      ...{ target: 'es2024', module: 'nodenext', strict: true, noEmit: true },
      ...{ lib: ['es2024', 'dom'], types: [], skipLibCheck: true },
    };
    const settings = { compilerOptions, files: ['shop.ts'] };
    writeFileSync(join(shop, 'tsconfig.json'), JSON.stringify(settings));
    const checked = await run(join(modules, '.bin', 'tsc'), ['-p', shop]).catch((error) => error);
    assert.equal(checked.stdout, '');
    const shown = await run(process.execPath, ['shop.ts'], { cwd: shop });
    const { data, to, deadline } = JSON.parse(shown.stdout);
    assert.match(data, /^0x[0-9a-f]{72}$/);
    assert.equal(to, '0x4D50420000000000000000000000000000000022');
    assert.equal(deadline, '1');
    const printed = await run(process.execPath, ['--input-type=module', '-e', PRINT], {
      cwd: shop,
      maxBuffer: 2 ** 22,
    });
    assert.deepEqual(JSON.parse(printed.stdout), interfaces());
  } finally {
    rmSync(shop, { recursive: true });
  }
});

/** As `npm install` of the tarball would, without its own libraries: they are not needed here. */
async function install(shop: string): Promise<void> {
  const args = ['pack', '--offline', '--json', '--pack-destination', shop];
  await run('npm', args, { cwd: root, maxBuffer: 2 ** 22 });
  const place = join(shop, 'node_modules', 'mpbp');
  mkdirSync(place, { recursive: true });
  await run('tar', ['-xf', join(shop, `mpbp-${VERSION}.tgz`), '-C', place, '--strip-components=1']);
  for (const name of ['viem', 'ethers']) {
    symlinkSync(join(modules, name), join(shop, 'node_modules', name));
  }
}

function interfaces(): Record<string, unknown> {
  const camel = (name: string) => name.replace(/^./, (letter) => letter.toLowerCase());
  return {
    ...Object.fromEntries(contracts.map(({ name, abi }) => [`${camel(name)}Abi`, abi])),
    paymentTokenAbi: tokenAbi,
    addresses: Object.fromEntries(
      contracts.map(({ name, address }) => [camel(name), formatAddress(address)]),
    ),
  };
}
