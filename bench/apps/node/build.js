// Writes each of the app's modules without its comments, as a compiler would.
const fs = require('fs')
const path = require('path')

const source = path.join(__dirname, 'shop')
const target = path.join(__dirname, 'dist')
fs.mkdirSync(target, { recursive: true })
for (const name of fs.readdirSync(source)) {
  const text = fs.readFileSync(path.join(source, name), 'utf8')
  fs.writeFileSync(path.join(target, name), text.replace(/^ *\/\/.*\n/gm, ''))
}
