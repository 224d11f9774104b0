// Joins the app's modules into one file, as a bundler would.
const fs = require('fs')
const path = require('path')

const folder = path.join(__dirname, 'shop')
const parts = fs.readdirSync(folder).sort().map((name) => fs.readFileSync(path.join(folder, name), 'utf8'))
fs.mkdirSync(path.join(__dirname, 'dist'), { recursive: true })
fs.writeFileSync(path.join(__dirname, 'dist', 'shop.js'), parts.join('\n'))
