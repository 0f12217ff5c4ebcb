// Compiles contracts/src with the pinned Solidity compiler and writes one artifact per deployable contract or interface
// to contracts/artifacts; with --check compares instead of writing. Called by scripts/build-contracts.sh.
//
// The output depends on the sources, this file and the compiler's version alone: sources are named relative to this
// folder, no metadata is appended to the bytecode, and keys are written in a fixed order.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const [modules, mode] = process.argv.slice(2)
if (!modules || (mode !== undefined && mode !== '--check')) {
  console.error('usage: node build.mjs <node_modules with solc> [--check]; scripts/build-contracts.sh finds the folder')
  process.exit(2)
}

const pins = join(here, '..', '..', 'scripts', 'tools', 'package.json')
const pinned = JSON.parse(readFileSync(pins, 'utf8')).dependencies.solc
const solcRoot = join(modules, 'solc')
if (!existsSync(solcRoot)) {
  console.error(`solc is not installed under ${modules}: run \`make setup\``)
  process.exit(2)
}
const require = createRequire(join(solcRoot, 'package.json'))
const found = require(join(solcRoot, 'package.json')).version
if (found !== pinned) {
  console.error(`solc ${found} is installed, but scripts/tools/package.json pins ${pinned}: run \`make setup\``)
  process.exit(2)
}
const solc = require(join(solcRoot, 'index.js'))

const settings = {
  evmVersion: 'prague', // the first hard fork with the BLS12-381 precompiles
  viaIR: true,
  optimizer: { enabled: true, runs: 1_000_000 }, // settling is called often, deployed once
  metadata: { appendCBOR: false, bytecodeHash: 'none' },
}
const names = readdirSync(join(here, 'src')).filter((name) => name.endsWith('.sol')).sort()
const sources = Object.fromEntries(
  names.map((name) => [`src/${name}`, { content: readFileSync(join(here, 'src', name), 'utf8') }]),
)
const outputSelection = { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } }
const output = JSON.parse(
  solc.compile(JSON.stringify({ language: 'Solidity', sources, settings: { ...settings, outputSelection } })),
)
const problems = output.errors ?? []
for (const problem of problems) console.error(problem.formattedMessage)
if (problems.length > 0) {
  console.error('the contracts must compile without errors and without warnings')
  process.exit(1)
}

const artifacts = new Map()
for (const [source, contracts] of Object.entries(output.contracts)) {
  for (const [contractName, { abi, evm }] of Object.entries(contracts)) {
    const artifact = {
      contractName,
      sourceName: source,
      compiler: { version: solc.version(), settings },
      abi,
      bytecode: `0x${evm.bytecode.object}`,
      deployedBytecode: `0x${evm.deployedBytecode.object}`,
    }
    artifacts.set(`${contractName}.json`, `${JSON.stringify(artifact, null, 2)}\n`)
  }
}

const folder = join(here, 'artifacts')
mkdirSync(folder, { recursive: true })
const committed = new Set(readdirSync(folder).filter((name) => name.endsWith('.json')))
if (mode === '--check') {
  const stale = [...artifacts].filter(
    ([name, text]) => !committed.has(name) || readFileSync(join(folder, name), 'utf8') !== text,
  )
  const extra = [...committed].filter((name) => !artifacts.has(name))
  for (const [name] of stale) console.error(`artifacts/${name} is not what the sources compile to`)
  for (const name of extra) console.error(`artifacts/${name} has no source`)
  if (stale.length + extra.length > 0) {
    console.error('run scripts/build-contracts.sh and commit node-adapter/contracts/artifacts')
    process.exit(1)
  }
  console.log(`${artifacts.size} artifacts are reproduced by solc ${solc.version()}`)
} else {
  for (const name of committed) if (!artifacts.has(name)) rmSync(join(folder, name))
  for (const [name, text] of artifacts) {
    writeFileSync(join(folder, name), text)
    const { deployedBytecode } = JSON.parse(text)
    console.log(`artifacts/${name}: ${(deployedBytecode.length - 2) / 2} bytes of code`)
  }
}
