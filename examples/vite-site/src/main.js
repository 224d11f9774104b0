import "./style.css";

document.querySelector("#from").textContent = `Written ${import.meta.env.MODE}`;
