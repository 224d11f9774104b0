const words = { en: "Hello", de: "Hallo", fr: "Bonjour" };

export const greet = (name, language = "en") => `${words[language] ?? words.en}, ${name}!`;
