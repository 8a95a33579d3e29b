"""The format of Gemini: generateContent."""
