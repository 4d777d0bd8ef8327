/** Hardhat 3: its own compiler is a download, so it is given the one of our tests. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(join(import.meta.dirname, '..', '..', 'package.json'));
const solc = dirname(require.resolve('solc/package.json'));
const version = require('solc/package.json').version;

export default {
  solidity: {
    compilers: [{ version, path: join(solc, 'soljson.js') }],
  },
  paths: {
    sources: './contracts',
    artifacts: process.env.MPBP_CLIENTS_OUT ?? './artifacts',
    cache: `${process.env.MPBP_CLIENTS_OUT ?? './artifacts'}-cache`,
  },
  networks: {
    mpbp: {
      type: 'http',
      url: process.env.MPBP_URL ?? 'http://127.0.0.1:8545',
      accounts: [process.env.MPBP_KEY ?? `0x${'11'.repeat(32)}`],
    },
  },
};
